// Compiled once for each instruction set, which AE_ISA names: see kernels/cpu/vector.hpp.

#include "norm/layer_norm_simd.hpp"

#include "formulas/activations.hpp"
#include "formulas/normalization.hpp"

namespace ae::cpu::AE_ISA {

namespace {

template <typename Formula>
void layer_norm(const NormTile& tile, float* y, float* statistics) {
  const std::int64_t cols = tile.x.cols;
  const auto count = static_cast<float>(cols);
  const float* gamma = tile.gamma;
  const float* beta = tile.beta;
  for (std::int64_t group = 0; group < tile.x.rows; ++group) {
    const float* x = tile.x.data + group * cols;
    float* out = y + group * cols;
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t c = 0; c < cols; ++c) sum += x[c];
    const float mean = sum / count;
    float squares = 0.0F;
#pragma omp simd reduction(+ : squares)
    for (std::int64_t c = 0; c < cols; ++c) squares += (x[c] - mean) * (x[c] - mean);
    const normalization::Scale scale{mean, normalization::inverse_deviation(squares / count)};
#pragma omp simd
    for (std::int64_t c = 0; c < cols; ++c) {
      out[c] = Formula::value(
          normalization::affine(normalization::normalized(x[c], scale), gamma[c], beta[c]));
    }
    if (statistics != nullptr) {
      statistics[2 * group] = scale.mean;
      statistics[2 * group + 1] = scale.inverse_deviation;
    }
  }
}

void layer_norm(const NormTile& tile, float* y, float* statistics) {
  for_activation(tile.activation,
                 [&]<typename Formula>() { layer_norm<Formula>(tile, y, statistics); });
}

template <typename Formula>
void layer_norm_gradient(const NormGradientTile& tile, float* dx) {
  const std::int64_t cols = tile.norm.x.cols;
  const auto count = static_cast<float>(cols);
  const float* gamma = tile.norm.gamma;
  const float* beta = tile.norm.beta;
  float* dgamma = tile.dgamma;
  float* dbeta = tile.dbeta;
  for (std::int64_t c = 0; c < cols; ++c) dgamma[c] = dbeta[c] = 0.0F;
  for (std::int64_t group = 0; group < tile.norm.x.rows; ++group) {
    const float* x = tile.norm.x.data + group * cols;
    const float* y = tile.y + group * cols;
    float* dz = tile.dz + group * cols;
    const normalization::Scale scale{tile.norm.statistics[2 * group],
                                     tile.norm.statistics[2 * group + 1]};
    float sum = 0.0F;
    float product = 0.0F;
#pragma omp simd reduction(+ : sum, product)
    for (std::int64_t c = 0; c < cols; ++c) {
      const float normalized = normalization::normalized(x[c], scale);
      const float gradient =
          dz[c] * normalization::slope<Formula>(normalized, gamma[c], beta[c], y[c]);
      dz[c] = gradient;
      dgamma[c] += gradient * normalized;
      dbeta[c] += gradient;
      sum += gamma[c] * gradient;
      product += gamma[c] * gradient * normalized;
    }
    if (dx == nullptr) continue;
    float* out = dx + group * cols;
    const float mean_g = sum / count;
    const float mean_product = product / count;
#pragma omp simd
    for (std::int64_t c = 0; c < cols; ++c) {
      out[c] = normalization::input_gradient(
          gamma[c] * dz[c], mean_g, normalization::normalized(x[c], scale), mean_product, scale);
    }
  }
}

void layer_norm_gradient(const NormGradientTile& tile, float* dx) {
  for_activation(tile.norm.activation,
                 [&]<typename Formula>() { layer_norm_gradient<Formula>(tile, dx); });
}

}  // namespace

const LayerNormSimd layer_norm_simd{layer_norm, layer_norm_gradient};

}  // namespace ae::cpu::AE_ISA
