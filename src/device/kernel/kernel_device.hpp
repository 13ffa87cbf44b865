#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "ae/dataset.hpp"

#include "common/launch_context.hpp"
#include "device/device.hpp"
#include "device/kernel/scratch_memory.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

/// A data set in device memory, in its own element type.
class DeviceData final : public ResidentData {
 public:
  DeviceData(Device& device, const Dataset& data);

 private:
  DeviceArray<std::uint8_t> bytes_;
  DeviceArray<float> floats_;
};

/// A device of our kernels: steps as launches, their scratch memory, and the products that run
/// beside them. Compiled twice, like the kernels: for CUDA, where streams, memory and cuBLAS are
/// added to it, and for the emulated device.
class KernelDevice : public Device, protected LaunchContext {
 public:
  [[nodiscard]] std::unique_ptr<ResidentData> make_resident(const Dataset& data) override;

 protected:
  [[nodiscard]] bool is_rehearsal() const final { return is_rehearsal_; }
  [[nodiscard]] Scratch scratch(const ScratchSizes& sizes) final;
  void multiply_beside(const Product& product) final;

  /// multiply() on the side stream, after what is on the main stream now.
  virtual void multiply_on_side_stream(const Product& product) { multiply(product); }
  /// Makes what follows on the main stream wait for the side stream.
  virtual void join_side_stream() {}
  /// The same, if anything may still run there.
  void join();
  [[nodiscard]] bool has_side_work() const { return !beside_.empty(); }

  /// Memory that holds nothing yet; as allocate() otherwise.
  [[nodiscard]] virtual void* allocate_unwritten(std::size_t bytes) = 0;

  /// Makes ready all that a fused step needs: a recording must not allocate.
  void rehearse(const Step& step);
  /// Puts the operations of a fused step on the stream, in order.
  void enqueue(const Step& step);

  /// To be called by the destructor of whoever owns the memory.
  void release_scratch() noexcept;

 private:
  /// Memory that products on the side stream read or write.
  struct Span {
    const std::byte* begin;
    const std::byte* end;
    bool is_written;
  };
  /// Joins if the operation writes what a product on the side stream reads, or reads or writes what
  /// one writes.
  template <typename Operation>
  void join_for(const Operation& op);

  bool is_rehearsal_ = false;
  std::vector<Span> beside_;
  std::vector<void*> owned_;
  ScratchMemory scratch_;
};

}  // namespace ae::AE_DEVICE_NAMESPACE
