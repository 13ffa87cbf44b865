#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/resident_data.hpp"
#include "core/tensor.hpp"
#include "step/step.hpp"

namespace ae {

class Dataset;

/// A compiled step, with all memory that it needs.
class Program {
 public:
  Program() = default;
  virtual ~Program() = default;
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  /// Runs the step `times` times. The device may still be at work on them at return, but on no more
  /// than kMaxStepsAhead.
  virtual void replay(std::int64_t times) = 0;
};

/// The most steps that may be pending on a device. Stopping takes effect after at most as many.
inline constexpr std::int64_t kMaxStepsAhead = 64;

/// A device: its memory, and the operations of training on it. Everything above this boundary
/// exists once for all devices and knows none of them.
///
/// All operands are of the device's memory, from allocate(). Sizes may be any, zero included.
/// Results do not depend on the number of threads.
class Device {
 public:
  Device() = default;
  virtual ~Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  [[nodiscard]] virtual std::string name() const = 0;

  /// Memory of `bytes` bytes, zeroed, aligned to 64 bytes. @throws Error if there is not enough.
  [[nodiscard]] virtual void* allocate(std::size_t bytes) = 0;
  virtual void deallocate(void* memory) noexcept = 0;
  virtual void upload(void* to, const void* from, std::size_t bytes) = 0;
  virtual void download(void* to, const void* from, std::size_t bytes) = 0;
  virtual void clear(void* memory, std::size_t bytes) = 0;
  /// A value in device memory as it stands, or NaN where looking would hold the device up.
  [[nodiscard]] virtual double peek(const double* value) const = 0;
  virtual void synchronize() = 0;
  /// Whether operations may return before they are done.
  [[nodiscard]] virtual bool is_asynchronous() const { return false; }
  /// How many replayed steps may still be pending; at most kMaxStepsAhead.
  [[nodiscard]] virtual std::int64_t steps_ahead() const { return 0; }

  /// `data` must outlive the result.
  [[nodiscard]] virtual std::unique_ptr<ResidentData> make_resident(const Dataset& data) = 0;

  /// Fuses operations, plans scratch memory and concurrency. The program must not outlive the
  /// device or the operands.
  [[nodiscard]] virtual std::unique_ptr<Program> compile(const Step& step) = 0;

  /// Runs the step once. It may be done later, up to the next download() or synchronize().
  virtual void run(const Step& step) = 0;

  /// A single operation.
  void run(Op op, std::string_view layer = {}) {
    Step step;
    step.add(std::move(op), layer);
    run(step);
  }

  /// What is called until end_range() is one thing of that name to a profiler. Ranges nest.
  virtual void begin_range(std::string_view /*what*/, std::string_view /*layer*/ = {}) {}
  virtual void end_range() {}
};

/// A profiler's range, for as long as it lives.
class Range {
 public:
  Range(Device& device, std::string_view what, std::string_view layer = {}) : device_(device) {
    device_.begin_range(what, layer);
  }
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;
  ~Range() { device_.end_range(); }

 private:
  Device& device_;
};

/// An array in a device's memory, freed with its owner.
template <typename T>
class DeviceArray {
 public:
  DeviceArray() = default;
  DeviceArray(Device& device, std::int64_t size)
      : device_(&device),
        data_(static_cast<T*>(device.allocate(static_cast<std::size_t>(size) * sizeof(T)))),
        size_(size) {}
  DeviceArray(DeviceArray&& other) noexcept { swap(other); }
  DeviceArray& operator=(DeviceArray&& other) noexcept {
    DeviceArray(std::move(other)).swap(*this);
    return *this;
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() {
    if (data_ != nullptr) device_->deallocate(data_);
  }

  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] std::int64_t size() const { return size_; }
  /// All of it, as one row; no operand where it is empty and was not allocated.
  [[nodiscard]] Tensor<T> tensor() const { return {data_, 1, size_}; }

  void upload(std::span<const T> values) {
    device_->upload(data_, values.data(), values.size_bytes());
  }
  void download(std::span<T> values) const {
    device_->download(values.data(), data_, values.size_bytes());
  }
  void clear() { device_->clear(data_, static_cast<std::size_t>(size_) * sizeof(T)); }

 private:
  void swap(DeviceArray& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }

  Device* device_ = nullptr;
  T* data_ = nullptr;
  std::int64_t size_ = 0;
};

}  // namespace ae
