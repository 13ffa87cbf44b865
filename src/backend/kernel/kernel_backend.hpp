#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "backend/backend.hpp"
#include "kernels.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

/// A data set in device memory, in its own element type.
class DeviceData final : public ResidentData {
 public:
  DeviceData(Backend& backend, const Dataset& data);

  [[nodiscard]] std::int64_t rows() const override { return rows_; }
  [[nodiscard]] std::int64_t row_size() const override { return row_size_; }
  [[nodiscard]] GatherSource source() const { return {bytes_.data(), floats_.data()}; }

 private:
  std::int64_t rows_;
  std::int64_t row_size_;
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
class KernelBackend : public Backend {
 public:
  [[nodiscard]] std::unique_ptr<ResidentData> make_resident(const Dataset& data) override;

  void gather_batch(const GatherBatch& op) override;
  void gather_rows(const GatherRows& op) override;
  void transpose(const Transpose& op) override;
  void dense_forward(const DenseForward& op) override;
  void dense_backward(const DenseBackward& op) override;
  void convolution_forward(const ConvolutionForward& op) override;
  void convolution_backward(const ConvolutionBackward& op) override;
  void max_pool_forward(const MaxPoolForward& op) override;
  void max_pool_backward(const MaxPoolBackward& op) override;
  void upsample_forward(const UpsampleForward& op) override;
  void upsample_backward(const UpsampleBackward& op) override;
  void activation_backward(const ActivationBackward& op) override;
  void reconstruction_loss(const ReconstructionLoss& op) override;
  void row_losses(const RowLosses& op) override;
  void corrupt_batch(const CorruptBatch& op) override;
  void keep_largest(const KeepLargest& op) override;
  void dropout_forward(const DropoutForward& op) override;
  void dropout_backward(const DropoutBackward& op) override;
  void layer_norm_forward(const LayerNormForward& op) override;
  void layer_norm_backward(const LayerNormBackward& op) override;
  void batch_norm_forward(const BatchNormForward& op) override;
  void batch_norm_backward(const BatchNormBackward& op) override;
  void sparsity_backward(const SparsityBackward& op) override;
  void gaussian_sample(const GaussianSample& op) override;
  void gaussian_backward(const GaussianBackward& op) override;
  void clip_scale(const ClipScale& op) override;
  void optimizer_step(const OptimizerStep& op) override;

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
  /// Also called while planning, so that all of it is there before a step is recorded.
  [[nodiscard]] virtual LibraryConvolution* library_convolution(const Convolution& /*convolution*/,
                                                                ConvolutionResult /*result*/,
                                                                std::int64_t /*batch*/) {
    return nullptr;
  }

  /// multiply() beside whatever follows on the stream until join(). What was put on the stream
  /// before is done first. Whatever may write what such a product reads, or reads what it writes,
  /// joins before: every operation but the rest of a backward pass.
  virtual void multiply_beside(const Product& product) = 0;
  virtual void join() = 0;

  [[nodiscard]] virtual Stream stream() = 0;

  /// Memory that holds nothing yet; as allocate() otherwise.
  [[nodiscard]] virtual void* allocate_unwritten(std::size_t bytes) = 0;

  /// Runs `step` once without launching anything, so that all scratch it needs is there before it
  /// is recorded: a recording must not allocate.
  void plan(const std::function<void()>& step);
  [[nodiscard]] bool is_planning() const { return planning_; }

  /// To be called by the destructor of whoever owns the memory.
  void release_scratch() noexcept;

 private:
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
  [[nodiscard]] ColumnSumScratch scratch_for(std::int64_t rows, std::int64_t cols) {
    return scratch_for(column_sum_scratch(rows, cols));
  }
  [[nodiscard]] unsigned* update_counter();
  [[nodiscard]] float* code_statistics(std::int64_t cols);

  bool planning_ = false;
  std::vector<void*> owned_;
  Scratch<float> columns_;
  Scratch<double> losses_;
  Scratch<unsigned> counters_;
  Scratch<unsigned> update_counter_;
  Scratch<float> code_statistics_;
};

}  // namespace ae::AE_DEVICE_NAMESPACE
