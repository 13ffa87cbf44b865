#pragma once

#include <cstdint>

namespace ae {

/// A data set where a device can gather batches from it, in its own element type: bytes, which
/// stand for value / 255, or floats.
class ResidentData {
 public:
  ResidentData(std::int64_t rows, std::int64_t row_size) : rows_(rows), row_size_(row_size) {}
  virtual ~ResidentData() = default;
  ResidentData(const ResidentData&) = delete;
  ResidentData& operator=(const ResidentData&) = delete;

  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::int64_t row_size() const { return row_size_; }

  /// The rows in the device's memory, in order. One of the two is null. Both are null if the device
  /// streams the data.
  [[nodiscard]] const std::uint8_t* bytes() const { return bytes_; }
  [[nodiscard]] const float* floats() const { return floats_; }

 protected:
  void set_values(const std::uint8_t* bytes, const float* floats) {
    bytes_ = bytes;
    floats_ = floats;
  }

 private:
  std::int64_t rows_;
  std::int64_t row_size_;
  const std::uint8_t* bytes_ = nullptr;
  const float* floats_ = nullptr;
};

}  // namespace ae
