#pragma once

#include <cstdint>

#include "convolution/convolution.hpp"
#include "device/cpu/image_kernels.hpp"
#include "device/cpu/vector_kernels.hpp"

namespace ae::cpu {

/// Floats, to whole cache lines: what lies behind them begins on one.
inline std::int64_t padded(std::int64_t floats) {
  return (floats + kImageSlack - 1) / kImageSlack * kImageSlack;
}

/// An image with as many zeros around it as a convolution reads, or less of it where it reads less:
/// rows first_row … first_row + rows of it, and columns likewise.
struct Frame {
  ImageShape inside{};
  std::int64_t first_row = 0;
  std::int64_t rows = 0;
  std::int64_t first_col = 0;
  std::int64_t cols = 0;

  [[nodiscard]] std::int64_t row_size() const { return cols * inside.channels; }
  /// In floats, what kernels may read behind it included.
  [[nodiscard]] std::int64_t size() const { return rows * row_size() + kImageSlack; }

  void copy(const float* image, float* to) const;
};

/// A convolution in one direction, without bias and activation, image by image. With the zeros
/// around the image written out there are no borders to treat; that copy is some hundredths of the
/// work. Weights are brought into the order in which kernels read them, once a step.
class DirectedConvolution {
 public:
  DirectedConvolution() = default;
  DirectedConvolution(const Convolution& convolution, Towards towards);

  [[nodiscard]] const Frame& frame() const { return frame_; }

  /// In floats, a multiple of kImageSlack.
  [[nodiscard]] std::int64_t packed_size() const;
  void pack(const float* w, float* packed) const;

  /// From an input in its frame.
  void run(const ImageKernels& kernels, const float* framed, const float* packed,
           float* output) const;

  /// What the taps read of an input in its frame, towards the map.
  [[nodiscard]] Window window(const float* framed) const;

 private:
  [[nodiscard]] Window window(const Gathered& rows, const Gathered& cols,
                              const float* framed) const;
  [[nodiscard]] bool is_by_dots() const;
  [[nodiscard]] const ImageShape& output() const {
    return towards_ == Towards::map ? convolution_.map : convolution_.image;
  }
  /// Calls visit(rows, cols) for each set of outputs with the same taps.
  template <typename Visit>
  void for_gathered(const Visit& visit) const;

  Convolution convolution_{};
  Towards towards_ = Towards::map;
  Frame frame_{};
};

/// ConvolutionForward for some rows of a batch.
class ForwardConvolution {
 public:
  explicit ForwardConvolution(const ConvolutionForward& op);

  [[nodiscard]] const DirectedConvolution& product() const { return product_; }
  [[nodiscard]] std::int64_t scratch_size() const;
  void run(const VectorKernels& kernels, const float* packed, std::int64_t begin, std::int64_t size,
           float* scratch) const;

 private:
  ConvolutionForward op_;
  DirectedConvolution product_;
  std::int64_t repeats_ = 0;  ///< columns_of_repeats() of the biases
};

/// ConvolutionBackward for some rows of a batch; their share of dW goes to a place of its own.
class BackwardConvolution {
 public:
  explicit BackwardConvolution(const ConvolutionBackward& op);

  [[nodiscard]] std::int64_t weights() const { return op_.convolution.weights(); }
  [[nodiscard]] const DirectedConvolution& product() const { return product_; }
  [[nodiscard]] std::int64_t scratch_size() const;
  void run(const VectorKernels& kernels, const float* packed, std::int64_t begin, std::int64_t size,
           float* scratch, float* dw) const;

 private:
  [[nodiscard]] bool has_product() const { return op_.dx.data != nullptr; }
  [[nodiscard]] bool copies_map() const { return op_.convolution.map.channels % kImageSlack != 0; }

  ConvolutionBackward op_;
  DirectedConvolution gradient_;  ///< dW joins the image in its frame with the map
  DirectedConvolution product_;   ///< dx
};

/// values[0 … channels) again and again, up to `cols` of them.
void repeat(const float* values, std::int64_t channels, std::int64_t cols, float* to);
/// sums[c] = Σ of the columns that are c modulo `channels`.
void fold(const float* columns, std::int64_t cols, std::int64_t channels, float* sums);

}  // namespace ae::cpu
