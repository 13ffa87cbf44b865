#pragma once

#include <cstdint>

#include "common/launch.hpp"

namespace ae {
struct Convolution;
struct DenseBackward;
struct DenseForward;
struct GatherBatch;
struct GatherRows;
}  // namespace ae

namespace ae::AE_DEVICE_NAMESPACE {

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

/// One such computation: images = (maps, W), maps = (images, W) or dW = (images, maps).
struct ConvolutionCall {
  const Convolution& convolution;
  ConvolutionResult result;
  std::int64_t batch;
  const float* first;
  const float* second;
  float* to;
};

/// Memory that an operation works in, or how much of each it needs.
struct ScratchSizes {
  std::int64_t columns = 0;
  std::int64_t losses = 0;
  std::int64_t counters = 0;
  std::int64_t statistics = 0;
};
struct Scratch {
  float* columns = nullptr;      ///< partial sums of blocks
  double* losses = nullptr;      ///< the same, in double
  unsigned* counters = nullptr;  ///< tell a block that it is the last one; zero between launches
  float* statistics = nullptr;   ///< what one kernel of an operation leaves to the next
};

/// What a launcher is given: a stream, scratch memory, and the libraries that a device has.
///
/// A step is launched twice. The first time is a rehearsal, in which launchers ask for scratch and
/// for libraries, and nothing reaches the stream: afterwards all memory is there, so that the
/// second time can be recorded.
class LaunchContext {
 public:
  LaunchContext() = default;
  virtual ~LaunchContext() = default;
  LaunchContext(const LaunchContext&) = delete;
  LaunchContext& operator=(const LaunchContext&) = delete;

  [[nodiscard]] virtual Stream stream() = 0;
  [[nodiscard]] virtual bool is_rehearsal() const { return false; }

  /// Scratch for this operation; the next one may get the same memory. In a rehearsal it may be
  /// null.
  [[nodiscard]] virtual Scratch scratch(const ScratchSizes& sizes) = 0;

  /// By our own kernel, unless the device has a library for it.
  virtual void multiply(const Product& product);
  /// The same, while what follows runs beside it: as far as nothing there touches its operands.
  virtual void multiply_beside(const Product& product) { multiply(product); }

  /// A product and all that follows it in an operation as one, where a library can do that: bias
  /// and activation, or the activation's gradient and the bias gradient. False if it cannot; then
  /// nothing was done.
  [[nodiscard]] virtual bool multiply_and_activate(const Product& /*product*/,
                                                   const DenseForward& /*op*/) {
    return false;
  }
  [[nodiscard]] virtual bool multiply_and_differentiate(const Product& /*product*/,
                                                        const DenseBackward& /*op*/) {
    return false;
  }

  /// The computation by a library, in place of our kernels. False if none does it; then nothing was
  /// done.
  [[nodiscard]] virtual bool convolve(const ConvolutionCall& /*call*/) { return false; }

  /// Rows of data that is not in the device's memory: the device brings them. False if it is there;
  /// then nothing was done.
  [[nodiscard]] virtual bool gather_from_host(const GatherBatch& /*op*/) { return false; }
  [[nodiscard]] virtual bool gather_from_host(const GatherRows& /*op*/) { return false; }
};

#if defined(AE_SIMT) || defined(__CUDACC__)

/// As the launch on a stream, but for a rehearsal.
template <typename... Parameters, typename... Arguments>
void launch_kernel(const char* name, void (*kernel)(Parameters...), const LaunchShape& shape,
                   LaunchContext& context, const Arguments&... arguments) {
  if (context.is_rehearsal()) return;
  launch_kernel(name, kernel, shape, context.stream(), arguments...);
}

#endif

}  // namespace ae::AE_DEVICE_NAMESPACE
