// Compiled once for each instruction set, which AE_ISA names: see kernels/cpu/vector.hpp.

#include "loss/loss_simd.hpp"

#include "formulas/activations.hpp"
#include "formulas/losses.hpp"

namespace ae::cpu::AE_ISA {

namespace {

/// Columns of a row that go through both parts of a loss formula together.
constexpr std::int64_t kLossStretch = 128;

template <bool kGradient, typename Formula>
void loss(const Formula& formula, const LossTile& tile, double* row_losses) {
  const std::int64_t cols = tile.z.cols;
  const float scale = tile.gradient_scale;
  if constexpr (kGradient) {
    for (std::int64_t c = 0; c < cols; ++c) tile.column_sums[c] = 0.0F;
  }
  for (std::int64_t row = 0; row < tile.z.rows; ++row) {
    float row_loss = 0.0F;
    for (std::int64_t begin = 0; begin < cols; begin += kLossStretch) {
      const std::int64_t count = cols - begin < kLossStretch ? cols - begin : kLossStretch;
      const float* z = tile.z.data + row * tile.z.stride + begin;
      const float* bias = tile.bias + begin;
      const float* target = tile.target + row * cols + begin;
      float prepared[kLossStretch];
#pragma omp simd
      for (std::int64_t i = 0; i < count; ++i) prepared[i] = formula.prepare(z[i] + bias[i]);
      if constexpr (kGradient) {
        float* dz = tile.dz + row * tile.z.stride + begin;
        float* sums = tile.column_sums + begin;
#pragma omp simd reduction(+ : row_loss)
        for (std::int64_t i = 0; i < count; ++i) {
          const losses::LossAndGradient here = formula.at(z[i] + bias[i], prepared[i], target[i]);
          const float gradient = scale * here.gradient;
          row_loss += here.loss;
          dz[i] = gradient;
          sums[i] += gradient;
        }
      } else {
#pragma omp simd reduction(+ : row_loss)
        for (std::int64_t i = 0; i < count; ++i) {
          row_loss += formula.at(z[i] + bias[i], prepared[i], target[i]).loss;
        }
      }
    }
    row_losses[row] = static_cast<double>(row_loss);
  }
}

void loss(const LossTile& tile, double* row_losses) {
  for_activation(tile.activation, [&]<typename Output>() {
    losses::for_loss(tile.loss, Output{}, [&](const auto& formula) {
      if (tile.dz != nullptr) {
        loss<true>(formula, tile, row_losses);
      } else {
        loss<false>(formula, tile, row_losses);
      }
    });
  });
}

}  // namespace

const LossSimd loss_simd{loss};

}  // namespace ae::cpu::AE_ISA
