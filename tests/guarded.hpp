#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

#include "device/device.hpp"
#include "oracle.hpp"

namespace ae::test {

/// Bit for bit, NaNs too.
template <typename T>
bool same_bits(std::span<const T> a, std::span<const T> b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

/// An array in a device's memory between two guard zones. Guards, and all that nothing was written
/// to, hold bytes of 255: NaN as a float or a double, -1 as an integer.
template <typename T>
class Guarded {
 public:
  Guarded(Device& device, std::int64_t size)
      : size_(size), array_(device, size + 2 * kGuard), staging_(staging_size(), poison()) {
    array_.upload(staging_);
  }
  Guarded(Device& device, std::span<const T> values)
      : Guarded(device, static_cast<std::int64_t>(values.size())) {
    std::copy(values.begin(), values.end(), staging_.begin() + kGuard);
    array_.upload(staging_);
  }
  Guarded(Device& device, const HostMatrix& matrix) requires std::is_same_v<T, float>
      : Guarded(device, std::span<const float>(matrix.values)) {}

  [[nodiscard]] T* data() const { return array_.data() + kGuard; }
  [[nodiscard]] Tensor<T> matrix(std::int64_t rows, std::int64_t cols) const {
    return {data(), rows, cols};
  }
  /// All of it, as one row or as one column.
  [[nodiscard]] Tensor<T> tensor() const { return {data(), 1, size_}; }
  [[nodiscard]] Tensor<T> column() const { return {data(), size_, 1}; }

  /// What it holds now. Fails the test if a guard was written to.
  [[nodiscard]] std::vector<T> read() const {
    std::vector<T> all(staging_.size());
    array_.download(all);
    const T guard = poison();
    const auto is_guard = [&](const T& value) {
      return std::memcmp(&value, &guard, sizeof(T)) == 0;
    };
    const auto begin = all.begin() + kGuard;
    const auto end = begin + size_;
    EXPECT_TRUE(std::all_of(all.begin(), begin, is_guard)) << "written before the array's begin";
    EXPECT_TRUE(std::all_of(end, all.end(), is_guard)) << "written behind the array's end";
    return {begin, end};
  }

  /// Whether nothing was written to it at all.
  [[nodiscard]] bool is_untouched() const {
    return same_bits<T>(read(),
                        std::span(staging_).subspan(kGuard, static_cast<std::size_t>(size_)));
  }

 private:
  static constexpr std::int64_t kGuard = 64;  // keeps the alignment that allocate() gives

  static T poison() {
    T value;
    std::memset(&value, 0xFF, sizeof(T));
    return value;
  }
  [[nodiscard]] std::size_t staging_size() const {
    return static_cast<std::size_t>(size_ + 2 * kGuard);
  }

  std::int64_t size_;
  DeviceArray<T> array_;
  std::vector<T> staging_;
};

using Floats = Guarded<float>;

/// The operations of a step each by itself, not as a whole.
inline void run_one_by_one(Device& device, const Step& step) {
  for (const Node& node : step.nodes()) device.run(node.op, node.layer);
}

}  // namespace ae::test
