#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "ae/dataset.hpp"

#include "device/device.hpp"
#include "kernels.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

/// A data set in device memory, in its own element type.
class DeviceData final : public ResidentData {
 public:
  DeviceData(Device& device, const Dataset& data);

 private:
  DeviceArray<std::uint8_t> bytes_;
  DeviceArray<float> floats_;
};

/// A product C = op(A)·op(B), row-major: op(A) is (m, k), op(B) (k, n).
struct Product {
  bool transpose_a = false;
  bool transpose_b = false;
  std::int64_t m = 0;
  std::int64_t n = 0;
  std::int64_t k = 0;
  const float* a = nullptr;
  const float* b = nullptr;
  float* c = nullptr;
};

/// Of a convolution's images, its maps and its weights, what is computed from the other two: the
/// maps and the images are the two ways along it, the weights are their gradient.
enum class ConvolutionResult : std::uint8_t { images, maps, weights };

/// One such computation, in a library that has agreed to do it and has made ready: a chosen
/// algorithm and its memory.
class LibraryConvolution {
 public:
  LibraryConvolution() = default;
  virtual ~LibraryConvolution() = default;
  LibraryConvolution(const LibraryConvolution&) = delete;
  LibraryConvolution& operator=(const LibraryConvolution&) = delete;

  /// images = (maps, W), maps = (images, W) or dW = (images, maps).
  virtual void run(const float* first, const float* second, float* result) = 0;
};

/// The fused operations as launches of our kernels around GEMMs. Compiled twice, like the kernels:
/// for CUDA, where streams, memory and cuBLAS are added to it, and for the emulated device.
class KernelDevice : public Device {
 public:
  [[nodiscard]] std::unique_ptr<ResidentData> make_resident(const Dataset& data) override;

 protected:
  virtual void multiply(const Product& product) = 0;

  /// A product and all that follows it in an operation as one, where the library behind multiply()
  /// can do that: bias and activation, or the activation's gradient and the bias gradient. False if
  /// it cannot; then nothing was done.
  [[nodiscard]] virtual bool multiply_and_activate(const Product& /*product*/,
                                                   const DenseForward& /*op*/) {
    return false;
  }
  [[nodiscard]] virtual bool multiply_and_differentiate(const Product& /*product*/,
                                                        const DenseBackward& /*op*/) {
    return false;
  }

  /// What a library will do in place of our kernels, with `batch` images; null where it does not.
  /// First called by plan(), so that all of it is there before a step is recorded.
  [[nodiscard]] virtual LibraryConvolution* library_convolution(const Convolution& /*convolution*/,
                                                                ConvolutionResult /*result*/,
                                                                std::int64_t /*batch*/) {
    return nullptr;
  }

  /// multiply() on the side stream, after what is on the main stream now.
  virtual void multiply_beside(const Product& product) = 0;
  /// Makes what follows on the main stream wait for the side stream.
  virtual void join_side_stream() = 0;
  /// The same, if anything may still run there.
  void join();
  [[nodiscard]] bool has_side_work() const { return !beside_.empty(); }

  [[nodiscard]] virtual Stream stream() = 0;

  /// Memory that holds nothing yet; as allocate() otherwise.
  [[nodiscard]] virtual void* allocate_unwritten(std::size_t bytes) = 0;

  /// Allocates the scratch memory of a fused step's operations: a recording must not allocate.
  void plan(const Step& step);
  /// Puts the operations of a fused step on the stream, in order.
  void enqueue(const Step& step);

  virtual void launch(const GatherBatch& op);
  virtual void launch(const GatherRows& op);

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

  void plan_op(const ConvolutionForward& op);
  void plan_op(const ConvolutionBackward& op);
  void plan_op(const SparsityBackward& op);
  void plan_op(const GaussianBackward& op);
  void plan_op(const ClipScale& op);
  void plan_op(const OptimizerStep& op);
  template <typename Operation>
  void plan_op(const Operation& op);

  void launch(const Transpose& op);
  void launch(const DenseForward& op);
  void launch(const ConvolutionForward& op);
  void launch(const MaxPoolForward& op);
  void launch(const MaxPoolBackward& op);
  void launch(const UpsampleForward& op);
  void launch(const UpsampleBackward& op);
  void launch(const RowLosses& op);
  void launch(const CorruptBatch& op);
  void launch(const KeepLargest& op);
  void launch(const DropoutForward& op);
  void launch(const DropoutBackward& op);
  void launch(const LayerNormForward& op);
  void launch(const GaussianSample& op);
  void launch(const DenseBackward& op);
  void launch(const ConvolutionBackward& op);
  void launch(const ActivationBackward& op);
  void launch(const ReconstructionLoss& op);
  void launch(const LayerNormBackward& op);
  void launch(const BatchNormForward& op);
  void launch(const BatchNormBackward& op);
  void launch(const SparsityBackward& op);
  void launch(const GaussianBackward& op);
  void launch(const ClipScale& op);
  void launch(const OptimizerStep& op);

  /// Scratch of one operation after the other. What it outgrows stays, since recorded steps point
  /// to it.
  template <typename T>
  struct Scratch {
    T* data = nullptr;
    std::int64_t size = 0;
  };
  template <typename T>
  void grow(Scratch<T>& scratch, std::int64_t size, bool zeroed);
  [[nodiscard]] ColumnSumScratch scratch_for(const ColumnSumScratchSizes& sizes);
  [[nodiscard]] unsigned* update_counter();
  [[nodiscard]] float* code_statistics(std::int64_t cols);

  std::vector<Span> beside_;
  std::vector<void*> owned_;
  Scratch<float> columns_;
  Scratch<double> losses_;
  Scratch<unsigned> counters_;
  Scratch<unsigned> update_counter_;
  Scratch<float> code_statistics_;
};

}  // namespace ae::AE_DEVICE_NAMESPACE
