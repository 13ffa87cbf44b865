// Compiled once for each instruction set, which AE_ISA names: see kernels/cpu/vector.hpp.

#include "code/sparsity_simd.hpp"

#include "cpu/vector.hpp"
#include "formulas/activations.hpp"

namespace ae::cpu::AE_ISA {

namespace {

void sum_activations(const ConstTile& y, float* column_sums) {
  for (std::int64_t c = 0; c < y.cols; ++c) column_sums[c] = 0.0F;
  for (std::int64_t row = 0; row < y.rows; ++row) {
    const float* values = y.data + row * y.stride;
#pragma omp simd
    for (std::int64_t c = 0; c < y.cols; ++c) column_sums[c] += values[c];
  }
}

template <typename Formula>
void sparsity_gradient(const SparsityTile& tile, double* row_penalties, double* column_penalty) {
  constexpr std::int64_t kColumns = 128;  // that share a stretch
  const sparsity::Rates rates = tile.rates;
  const std::int64_t cols = tile.y.cols;
  double of_columns = 0;
  for (std::int64_t row = 0; row < tile.y.rows; ++row) row_penalties[row] = 0;
  for (std::int64_t begin = 0; begin < cols; begin += kColumns) {
    const std::int64_t count = smaller(kColumns, cols - begin);
    float* sums = tile.column_sums + begin;
    float of_mean[kColumns];
    for (std::int64_t i = 0; i < count; ++i) sums[i] = of_mean[i] = 0.0F;
    if (tile.activation_sums != nullptr) {
      const float* activation_sums = tile.activation_sums + begin;
      float divergence = 0.0F;
#pragma omp simd reduction(+ : divergence)
      for (std::int64_t i = 0; i < count; ++i) {
        const float mean = sparsity::mean_activation(activation_sums[i], rates);
        of_mean[i] = sparsity::mean_gradient(mean, rates);
        divergence += sparsity::divergence(rates.rho, mean);
      }
      of_columns += static_cast<double>(divergence);
    }
    for (std::int64_t row = 0; row < tile.y.rows; ++row) {
      const std::int64_t offset = row * tile.y.stride + begin;
      const float* y = tile.y.data + offset;
      const float* saved = tile.saved + offset;
      float* dz = tile.dz + offset;
      float size = 0.0F;
#pragma omp simd reduction(+ : size)
      for (std::int64_t i = 0; i < count; ++i) {
        const float gradient =
            sparsity::gradient(y[i], dz[i], Formula::slope(saved[i]), of_mean[i], rates);
        dz[i] = gradient;
        sums[i] += gradient;
        size += fabsf(y[i]);
      }
      row_penalties[row] += static_cast<double>(rates.l1 * size);
    }
  }
  if (column_penalty != nullptr) *column_penalty = rates.kl * of_columns;
}

void sparsity_gradient(const SparsityTile& tile, double* row_penalties, double* column_penalty) {
  for_activation(tile.activation, [&]<typename Formula>() {
    sparsity_gradient<Formula>(tile, row_penalties, column_penalty);
  });
}

}  // namespace

const SparsitySimd sparsity_simd{sum_activations, sparsity_gradient};

}  // namespace ae::cpu::AE_ISA
