// Compiled once for each instruction set, which AE_ISA names: see kernels/cpu/vector.hpp.

#include "norm/batch_norm_simd.hpp"

#include "cpu/vector.hpp"
#include "formulas/activations.hpp"
#include "formulas/normalization.hpp"

namespace ae::cpu::AE_ISA {

namespace {

void moments(const ConstTile& x, float* moments) {
  float* means = moments;
  float* squares = moments + x.cols;
  const auto count = static_cast<float>(x.rows);
  for (std::int64_t c = 0; c < x.cols; ++c) means[c] = squares[c] = 0.0F;
  for (std::int64_t row = 0; row < x.rows; ++row) {
    const float* values = x.data + row * x.stride;
#pragma omp simd
    for (std::int64_t c = 0; c < x.cols; ++c) means[c] += values[c];
  }
#pragma omp simd
  for (std::int64_t c = 0; c < x.cols; ++c) means[c] /= count;
  for (std::int64_t row = 0; row < x.rows; ++row) {
    const float* values = x.data + row * x.stride;
#pragma omp simd
    for (std::int64_t c = 0; c < x.cols; ++c) {
      squares[c] += (values[c] - means[c]) * (values[c] - means[c]);
    }
  }
}

/// Channels whose scales are made together.
constexpr std::int64_t kScales = 128;

/// Calls body(begin, count, means, deviations) for stretches of the channels of [μ | σ²].
template <typename Body>
AE_HOST_DEVICE void for_scales(const float* statistics, std::int64_t channels, const Body& body) {
  float inverse_deviations[kScales];
  for (std::int64_t begin = 0; begin < channels; begin += kScales) {
    const std::int64_t count = smaller(kScales, channels - begin);
    const float* variances = statistics + channels + begin;
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) {
      inverse_deviations[i] = normalization::inverse_deviation(variances[i]);
    }
    body(begin, count, statistics + begin, inverse_deviations);
  }
}

template <typename Formula>
void batch_norm(const NormTile& tile, float* y) {
  const std::int64_t cols = tile.x.cols;
  for_scales(tile.statistics, cols,
             [&](std::int64_t begin, std::int64_t count, const float* means,
                 const float* inverse_deviations) {
               const float* gamma = tile.gamma + begin;
               const float* beta = tile.beta + begin;
               for (std::int64_t group = 0; group < tile.x.rows; ++group) {
                 const float* x = tile.x.data + group * cols + begin;
                 float* out = y + group * cols + begin;
#pragma omp simd
                 for (std::int64_t i = 0; i < count; ++i) {
                   const float normalized =
                       normalization::normalized(x[i], {means[i], inverse_deviations[i]});
                   out[i] = Formula::value(normalization::affine(normalized, gamma[i], beta[i]));
                 }
               }
             });
}

void batch_norm(const NormTile& tile, float* y) {
  for_activation(tile.activation, [&]<typename Formula>() { batch_norm<Formula>(tile, y); });
}

template <typename Formula>
void batch_norm_gradient(const NormGradientTile& tile) {
  const std::int64_t cols = tile.norm.x.cols;
  for_scales(tile.norm.statistics, cols,
             [&](std::int64_t begin, std::int64_t count, const float* means,
                 const float* inverse_deviations) {
               const float* gamma = tile.norm.gamma + begin;
               const float* beta = tile.norm.beta + begin;
               float* dgamma = tile.dgamma + begin;
               float* dbeta = tile.dbeta + begin;
               for (std::int64_t i = 0; i < count; ++i) dgamma[i] = dbeta[i] = 0.0F;
               for (std::int64_t group = 0; group < tile.norm.x.rows; ++group) {
                 const float* x = tile.norm.x.data + group * cols + begin;
                 const float* y = tile.y + group * cols + begin;
                 float* dz = tile.dz + group * cols + begin;
#pragma omp simd
                 for (std::int64_t i = 0; i < count; ++i) {
                   const float normalized =
                       normalization::normalized(x[i], {means[i], inverse_deviations[i]});
                   const float gradient =
                       dz[i] * normalization::slope<Formula>(normalized, gamma[i], beta[i], y[i]);
                   dz[i] = gradient;
                   dgamma[i] += gradient * normalized;
                   dbeta[i] += gradient;
                 }
               }
             });
}

void batch_norm_gradient(const NormGradientTile& tile) {
  for_activation(tile.norm.activation,
                 [&]<typename Formula>() { batch_norm_gradient<Formula>(tile); });
}

void batch_norm_input_gradient(const NormTile& tile, const float* dgamma, const float* dbeta,
                               float count, const float* dz, float* dx) {
  const std::int64_t cols = tile.x.cols;
  for_scales(tile.statistics, cols,
             [&](std::int64_t begin, std::int64_t size, const float* means,
                 const float* inverse_deviations) {
               const float* gamma = tile.gamma + begin;
               float mean_g[kScales];
               float mean_product[kScales];
#pragma omp simd
               for (std::int64_t i = 0; i < size; ++i) {
                 mean_g[i] = gamma[i] * (dbeta[begin + i] / count);
                 mean_product[i] = gamma[i] * (dgamma[begin + i] / count);
               }
               for (std::int64_t group = 0; group < tile.x.rows; ++group) {
                 const float* x = tile.x.data + group * cols + begin;
                 const float* gradient = dz + group * cols + begin;
                 float* out = dx + group * cols + begin;
#pragma omp simd
                 for (std::int64_t i = 0; i < size; ++i) {
                   const normalization::Scale scale{means[i], inverse_deviations[i]};
                   out[i] = normalization::input_gradient(gamma[i] * gradient[i], mean_g[i],
                                                          normalization::normalized(x[i], scale),
                                                          mean_product[i], scale);
                 }
               }
             });
}

}  // namespace

const BatchNormSimd batch_norm_simd{moments, batch_norm, batch_norm_gradient,
                                    batch_norm_input_gradient};

}  // namespace ae::cpu::AE_ISA
