// Compiled once for each instruction set, which AE_ISA names: see kernels/cpu/vector.hpp.

#include "activation/activation_simd.hpp"

#include <cstddef>
#include <cstring>

#include "formulas/activations.hpp"

namespace ae::cpu::AE_ISA {

namespace {

template <typename Formula>
void bias_activation(const float* bias, const Tile& y, float* z) {
  for (std::int64_t row = 0; row < y.rows; ++row) {
    float* out = y.data + row * y.stride;
    if (bias != nullptr) {
#pragma omp simd
      for (std::int64_t c = 0; c < y.cols; ++c) out[c] += bias[c];
    }
    if constexpr (Formula::kSlopeFromInput) {
      if (z != nullptr)
        std::memcpy(z + row * y.stride, out, static_cast<std::size_t>(y.cols) * sizeof(float));
    }
#pragma omp simd
    for (std::int64_t c = 0; c < y.cols; ++c) out[c] = Formula::value(out[c]);
  }
}

void bias_activation(Activation activation, const float* bias, const Tile& y, float* z) {
  for_activation(activation, [&]<typename Formula>() { bias_activation<Formula>(bias, y, z); });
}

template <typename Formula>
void activation_gradient(const ConstTile& saved, const Tile& dx, float* column_sums) {
  for (std::int64_t c = 0; c < dx.cols; ++c) column_sums[c] = 0.0F;
  for (std::int64_t row = 0; row < dx.rows; ++row) {
    const float* from = saved.data + row * saved.stride;
    float* gradient = dx.data + row * dx.stride;
#pragma omp simd
    for (std::int64_t c = 0; c < dx.cols; ++c) {
      const float g = gradient[c] * Formula::slope(from[c]);
      gradient[c] = g;
      column_sums[c] += g;
    }
  }
}

void activation_gradient(Activation activation, const ConstTile& saved, const Tile& dx,
                         float* column_sums) {
  for_activation(activation,
                 [&]<typename Formula>() { activation_gradient<Formula>(saved, dx, column_sums); });
}

}  // namespace

const ActivationSimd activation_simd{bias_activation, activation_gradient};

}  // namespace ae::cpu::AE_ISA
