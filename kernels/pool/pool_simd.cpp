// Compiled once for each instruction set, which AE_ISA names: see kernels/cpu/vector.hpp.

#include "pool/pool_simd.hpp"

#include <cstring>

#include "cpu/vector.hpp"

namespace ae::cpu::AE_ISA {

namespace {

constexpr auto kLanes = static_cast<std::int64_t>(kWidth);

// Each window for a vector of channels, and for the last few one by one: the same code for both,
// with numbers in the place of vectors.

using Integers = std::int32_t __attribute__((vector_size(AE_VECTOR_BYTES)));

template <typename Values>
AE_HOST_DEVICE Values load_as(const float* from) {
  Values values;
  std::memcpy(&values, from, sizeof(values));
  return values;
}

template <typename Values>
AE_HOST_DEVICE void store_as(float* to, const Values& values) {
  std::memcpy(to, &values, sizeof(values));
}

/// A window, and some of its channels.
struct PartOfWindow {
  std::int64_t large;  ///< its first value in the large image
  std::int64_t small;  ///< its value in the small one
  std::int64_t rows;   ///< not cut off at the edge
  std::int64_t cols;

  /// Calls visit(value, number of the pixel) for each of its pixels.
  template <typename Visit>
  AE_HOST_DEVICE void for_pixels(const Windows& windows, const Visit& visit) const {
    std::int32_t pixel = 0;
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::int64_t of_row = large + row * windows.width * windows.channels;
      for (std::int64_t col = 0; col < cols; ++col) {
        visit(of_row + col * windows.channels, pixel++);
      }
    }
  }
};

/// Calls visit.template operator()<Values, Pixels>(part) for every window, channels in vectors.
template <typename Visit>
AE_HOST_DEVICE void for_windows(const Windows& windows, const Visit& visit) {
  std::int64_t small = 0;
  for (std::int64_t y = 0; y < windows.height; y += windows.size) {
    const std::int64_t rows = windows.height - y < windows.size ? windows.height - y : windows.size;
    for (std::int64_t x = 0; x < windows.width; x += windows.size) {
      const std::int64_t cols = windows.width - x < windows.size ? windows.width - x : windows.size;
      const std::int64_t large = (y * windows.width + x) * windows.channels;
      std::int64_t c = 0;
      for (; c + kLanes <= windows.channels; c += kLanes) {
        visit.template operator()<Vector, Integers>(PartOfWindow{large + c, small + c, rows, cols});
      }
      for (; c < windows.channels; ++c) {
        visit.template operator()<float, std::int32_t>(
            PartOfWindow{large + c, small + c, rows, cols});
      }
      small += windows.channels;
    }
  }
}

/// The largest values, and at which pixel each was met first.
template <typename Values, typename Pixels>
struct Largest {
  Values value;
  Pixels pixel;

  AE_HOST_DEVICE Largest(const Windows& windows, const PartOfWindow& part, const float* x)
      : value(load_as<Values>(x + part.large)), pixel{} {
    part.for_pixels(windows, [&](std::int64_t at, std::int32_t number) {
      const Values here = load_as<Values>(x + at);
      const auto larger = here > value;
      value = larger ? here : value;
      pixel = larger ? Pixels{} + number : pixel;
    });
  }
};

void max_pool(const Windows& windows, const float* x, float* y) {
  for_windows(windows, [&]<typename Values, typename Pixels>(const PartOfWindow& part) {
    store_as(y + part.small, Largest<Values, Pixels>(windows, part, x).value);
  });
}

void max_pool_gradient(const Windows& windows, const float* x, const float* dy, float* dx) {
  for_windows(windows, [&]<typename Values, typename Pixels>(const PartOfWindow& part) {
    const Largest<Values, Pixels> largest(windows, part, x);
    const auto gradient = load_as<Values>(dy + part.small);
    part.for_pixels(windows, [&](std::int64_t at, std::int32_t number) {
      store_as(dx + at, largest.pixel == Pixels{} + number ? gradient : Values{});
    });
  });
}

void upsample(const Windows& windows, const float* x, float* y) {
  for_windows(windows, [&]<typename Values, typename Pixels>(const PartOfWindow& part) {
    const auto value = load_as<Values>(x + part.small);
    part.for_pixels(windows, [&](std::int64_t at, std::int32_t) { store_as(y + at, value); });
  });
}

void upsample_gradient(const Windows& windows, const float* dy, float* dx) {
  for_windows(windows, [&]<typename Values, typename Pixels>(const PartOfWindow& part) {
    Values sum{};
    part.for_pixels(windows,
                    [&](std::int64_t at, std::int32_t) { sum += load_as<Values>(dy + at); });
    store_as(dx + part.small, sum);
  });
}

}  // namespace

const PoolSimd pool_simd{max_pool, max_pool_gradient, upsample, upsample_gradient};

}  // namespace ae::cpu::AE_ISA
