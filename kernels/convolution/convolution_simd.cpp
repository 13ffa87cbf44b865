// Compiled once for each instruction set, which AE_ISA names: see kernels/cpu/vector.hpp.

#include "convolution/convolution_simd.hpp"

#include <cstddef>

#include "cpu/vector.hpp"

namespace ae::cpu::AE_ISA {

namespace {

// A convolution is a matrix product whose left factor is not written out: row (y, x) of it is a
// window of the image. As in any fast product, a tile of the result stays in registers while the
// summation runs: kMostRows × 2 vectors take all registers but three, and each vector of weights
// that is loaded serves kMostRows multiply-adds, so that the loads keep out of their way.

#if defined(__AVX512F__)
constexpr std::int64_t kMostRows = 14;
#else
constexpr std::int64_t kMostRows = 6;
#endif
constexpr auto kLanes = static_cast<std::int64_t>(kWidth);

template <std::int64_t kRows, std::int64_t kVectors>
struct Tile {
  Vector value[std::size_t{kRows}][std::size_t{kVectors}];

  /// value[r][v] += Σ over i < count of a[r·a_row + i·a_step]·b[i·b_step + v].
  AE_HOST_DEVICE void accumulate(const float* a, std::int64_t a_row, std::int64_t a_step,
                                 const float* b, std::int64_t b_step, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      Vector right[std::size_t{kVectors}];
      for (std::int64_t v = 0; v < kVectors; ++v) right[v] = load(b + v * kLanes);
#pragma GCC unroll 16
      for (std::int64_t r = 0; r < kRows; ++r) {
        const float left = a[r * a_row];
        for (std::int64_t v = 0; v < kVectors; ++v) value[r][v] += left * right[v];
      }
      a += a_step;
      b += b_step;
    }
  }

  /// Writes, or adds, the first `units` columns of it.
  template <bool kAdd>
  AE_HOST_DEVICE void put(float* to, std::int64_t row, std::int64_t units) const {
    for (std::int64_t r = 0; r < kRows; ++r) {
      for (std::int64_t v = 0; v < kVectors; ++v) {
        float* out = to + r * row + v * kLanes;
        if (units - v * kLanes >= kLanes) {
          store(out, kAdd ? load(out) + value[r][v] : value[r][v]);
          continue;
        }
        float lanes[kWidth];
        store(lanes, value[r][v]);
        for (std::int64_t u = 0; u < units - v * kLanes; ++u) {
          out[u] = kAdd ? out[u] + lanes[u] : lanes[u];
        }
      }
    }
  }
};

/// Calls body.template operator()<n>() for the n at hand, 1 ≤ n ≤ kMost.
template <std::int64_t kMost, typename Body>
AE_HOST_DEVICE void with_constant(std::int64_t n, const Body& body) {
  if constexpr (kMost > 1) {
    if (n < kMost) return with_constant<kMost - 1>(n, body);
  }
  body.template operator()<kMost>();
}

/// Cuts `count` rows into stretches as even as can be, each at most kMostRows, and calls
/// body.template operator()<rows>(first) for each.
template <typename Body>
AE_HOST_DEVICE void for_stretches(std::int64_t count, const Body& body) {
  std::int64_t stretches = (count + kMostRows - 1) / kMostRows;
  for (std::int64_t first = 0; first < count; --stretches) {
    const std::int64_t rows = (count - first + stretches - 1) / stretches;
    with_constant<kMostRows>(rows,
                             [&]<std::int64_t kRows>() { body.template operator()<kRows>(first); });
    first += rows;
  }
}

/// Calls body.template operator()<vectors>(first unit) for stripes of two vectors, and a last one.
template <typename Body>
AE_HOST_DEVICE void for_stripes(std::int64_t units, const Body& body) {
  std::int64_t unit = 0;
  for (; unit + kLanes < units; unit += 2 * kLanes) body.template operator()<2>(unit);
  if (unit < units) body.template operator()<1>(unit);
}

template <std::int64_t kVectors>
void product_stripe(const WindowProduct& work, std::int64_t unit) {
  const Window& window = work.window;
  const std::int64_t padded = (work.units + kImageSlack - 1) / kImageSlack * kImageSlack;
  for (std::int64_t row = 0; row < window.rows; ++row) {
    for_stretches(window.cols, [&]<std::int64_t kPixels>(std::int64_t col) {
      const float* input = window.input + row * window.output_row + col * window.output_pixel;
      const float* weights = work.weights + unit;
      Tile<kPixels, kVectors> tile{};
      for (std::int64_t tap = 0; tap < window.tap_rows; ++tap) {
        tile.accumulate(input, window.output_pixel, 1, weights, padded, window.tap_values);
        input += window.tap_row;
        weights += window.tap_values * padded;
      }
      tile.template put<false>(work.y + row * work.y_row + col * work.y_pixel + unit, work.y_pixel,
                               work.units - unit);
    });
  }
}

void product(const WindowProduct& work) {
  for_stripes(work.units, [&]<std::int64_t kVectors>(std::int64_t unit) {
    product_stripe<kVectors>(work, unit);
  });
}

/// The sum of a vector's lanes, by halves.
template <std::size_t kLeft = kWidth>
AE_HOST_DEVICE float sum_of(const float* lanes) {
  if constexpr (kLeft == 1) {
    return lanes[0];
  } else {
    float halves[kLeft / 2];
    for (std::size_t i = 0; i < kLeft / 2; ++i) halves[i] = lanes[i] + lanes[kLeft / 2 + i];
    return sum_of<kLeft / 2>(halves);
  }
}

/// Pixels whose dot products run beside each other: one alone would wait for each multiply-add.
constexpr std::int64_t kDotPixels = 8;

template <std::int64_t kPixels>
AE_HOST_DEVICE void dots(const Window& window, const float* input, const float* weights, float* y,
                         std::int64_t y_pixel) {
  Vector sum[std::size_t{kPixels}] = {};
  float rest[std::size_t{kPixels}] = {};
  for (std::int64_t tap = 0; tap < window.tap_rows; ++tap) {
    std::int64_t k = 0;
    for (; k + kLanes <= window.tap_values; k += kLanes) {
      const Vector right = load(weights + k);
#pragma GCC unroll 8
      for (std::int64_t p = 0; p < kPixels; ++p) {
        sum[p] += load(input + p * window.output_pixel + k) * right;
      }
    }
    for (; k < window.tap_values; ++k) {
      for (std::int64_t p = 0; p < kPixels; ++p) {
        rest[p] += input[p * window.output_pixel + k] * weights[k];
      }
    }
    input += window.tap_row;
    weights += window.tap_values;
  }
  for (std::int64_t p = 0; p < kPixels; ++p) {
    float lanes[kWidth];
    store(lanes, sum[p]);
    y[p * y_pixel] = sum_of(lanes) + rest[p];
  }
}

void product_by_dots(const WindowProduct& work) {
  const Window& window = work.window;
  for (std::int64_t row = 0; row < window.rows; ++row) {
    for (std::int64_t unit = 0; unit < work.units; ++unit) {
      const float* weights = work.weights + unit * window.tap_rows * window.tap_values;
      const float* input = window.input + row * window.output_row;
      float* y = work.y + row * work.y_row + unit;
      std::int64_t col = 0;
      for (; col + kDotPixels <= window.cols; col += kDotPixels) {
        dots<kDotPixels>(window, input + col * window.output_pixel, weights, y + col * work.y_pixel,
                         work.y_pixel);
      }
      for (; col < window.cols; ++col) {
        dots<1>(window, input + col * window.output_pixel, weights, y + col * work.y_pixel,
                work.y_pixel);
      }
    }
  }
}

/// A tile of dW has some consecutive values of a tap row down and units across; the summation runs
/// over the pixels.
template <std::int64_t kVectors>
void gradient_stripe(const WindowGradient& work, std::int64_t unit) {
  const Window& window = work.window;
  for (std::int64_t tap = 0; tap < window.tap_rows; ++tap) {
    for_stretches(window.tap_values, [&]<std::int64_t kValues>(std::int64_t k) {
      const float* input = window.input + tap * window.tap_row + k;
      const float* dz = work.dz + unit;
      Tile<kValues, kVectors> tile{};
      for (std::int64_t row = 0; row < window.rows; ++row) {
        tile.accumulate(input, 1, window.output_pixel, dz, work.units, window.cols);
        input += window.output_row;
        dz += window.cols * work.units;
      }
      float* dw = work.dw + (tap * window.tap_values + k) * work.units + unit;
      tile.template put<true>(dw, work.units, work.units - unit);
    });
  }
}

/// With few units, vectors lie along the tap values instead.
template <std::int64_t kVectors>
AE_HOST_DEVICE void gradient_along_taps(const WindowGradient& work, std::int64_t tap,
                                        std::int64_t k) {
  const Window& window = work.window;
  for (std::int64_t unit = 0; unit < work.units; ++unit) {
    Tile<1, kVectors> tile{};
    for (std::int64_t row = 0; row < window.rows; ++row) {
      tile.accumulate(work.dz + row * window.cols * work.units + unit, 0, work.units,
                      window.input + tap * window.tap_row + row * window.output_row + k,
                      window.output_pixel, window.cols);
    }
    float sums[kVectors * kWidth];
    tile.template put<false>(sums, 0, kVectors * kLanes);
    float* dw = work.dw + (tap * window.tap_values + k) * work.units + unit;
    for (std::int64_t i = 0; i < kVectors * kLanes && k + i < window.tap_values; ++i) {
      dw[i * work.units] += sums[i];
    }
  }
}

void weight_gradient(const WindowGradient& work) {
  if (work.units > kDotUnits || work.window.tap_values < kDotChannels) {
    for_stripes(work.units, [&]<std::int64_t kVectors>(std::int64_t unit) {
      gradient_stripe<kVectors>(work, unit);
    });
    return;
  }
  constexpr std::int64_t kMostVectors = 6;
  for (std::int64_t tap = 0; tap < work.window.tap_rows; ++tap) {
    for (std::int64_t k = 0; k < work.window.tap_values; k += kMostVectors * kLanes) {
      const std::int64_t vectors = (work.window.tap_values - k + kLanes - 1) / kLanes;
      with_constant<kMostVectors>(
          vectors, [&]<std::int64_t kVectors>() { gradient_along_taps<kVectors>(work, tap, k); });
    }
  }
}

}  // namespace

const ConvolutionSimd convolution_simd{product, product_by_dots, weight_gradient};

}  // namespace ae::cpu::AE_ISA
