#pragma once

#include <cstdint>

#include "cpu/instruction_set.hpp"

namespace ae::cpu {

/// Floats behind the last one that a kernel may read, and ignore what it finds: a vector's.
inline constexpr std::int64_t kImageSlack = 16;

/// Up to how many output channels a product is taken as dot products, and from how many input
/// channels on: too few to fill a vector across, enough to fill one along.
inline constexpr std::int64_t kDotUnits = 4;
inline constexpr std::int64_t kDotChannels = 16;

/// What taps of a convolution read of an image that has a frame of zeros around it: output pixel
/// (y, x) at tap row t reads the `tap_values` consecutive floats (taps along a row, all channels)
///   input[y·output_row + x·output_pixel + t·tap_row + 0 … tap_values).
struct Window {
  const float* input;
  std::int64_t output_row;
  std::int64_t output_pixel;
  std::int64_t rows;  ///< of outputs
  std::int64_t cols;
  std::int64_t tap_rows;
  std::int64_t tap_row;
  std::int64_t tap_values;
};

/// One image's  y[y, x, u] = Σ over t, k of window(y, x, t, k)·W[t, k, u].
/// Weights lie as (tap_rows, tap_values, units rounded up to kImageSlack), zeros behind the units;
/// for product_by_dots as (units, tap_rows, tap_values).
struct WindowProduct {
  Window window;
  const float* weights;
  std::int64_t units;
  float* y;
  std::int64_t y_row;  ///< floats from output row to output row
  std::int64_t y_pixel;
};

/// One image's share of a weight gradient:
///   dW[t, k, u] += Σ over y, x of window(y, x, t, k)·dz[y, x, u],
/// dz (rows, cols, units) with kImageSlack behind it, unless units is a multiple of that.
struct WindowGradient {
  Window window;
  const float* dz;
  std::int64_t units;
  float* dw;  ///< (tap_rows, tap_values, units)
};

/// Each takes one image.

struct ConvolutionSimd {
  void (*product)(const WindowProduct& work);
  void (*product_by_dots)(const WindowProduct& work);
  void (*weight_gradient)(const WindowGradient& work);
};
AE_SIMD(ConvolutionSimd, convolution_simd)

}  // namespace ae::cpu
