#pragma once

#include <cstdint>

#include "convolution/convolution_simd.hpp"
#include "convolution/geometry.hpp"

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
  void run(const ConvolutionSimd& simd, const float* framed, const float* packed,
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

}  // namespace ae::cpu
