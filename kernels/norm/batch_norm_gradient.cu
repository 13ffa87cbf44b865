// dx = γ·(dz - dβ/N - x̂·dγ/N)/√(σ² + ε) over (groups, channels), N = groups, by each column's
// statistics [μ | σ²] and the sums dγ and dβ of it. See ae::BatchNormBackward.
//
// Launch and layout: column_sums.cuh; a thread keeps to its columns, and so makes their scale once.
//
// Traffic: 12 bytes an element, 8 read and 4 written.
// Besides, a column has 20 of statistics, γ and sums for each block that crosses it.

#include "common/column_sums.cuh"
#include "common/pack.cuh"
#include "kernels.hpp"
#include "norm/channel_scales.cuh"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

template <int kWidth>
__global__ void __launch_bounds__(kColumnSumThreads)
    batch_norm_gradient_kernel(InputGradientArguments arguments, const float* dgamma,
                               const float* dbeta, std::int64_t groups, std::int64_t channels) {
  const std::int64_t col = first_column<kWidth>();
  if (col >= channels) return;
  const auto count = static_cast<float>(groups);
  const ScalesOfChannels<kWidth> scales(arguments.statistics, channels, col);
  const Pack<kWidth> gamma = load_pack<kWidth>(arguments.gamma + col);
  Pack<kWidth> mean_g = load_pack<kWidth>(dbeta + col);
  Pack<kWidth> mean_product = load_pack<kWidth>(dgamma + col);
  AE_UNROLL
  for (int i = 0; i < kWidth; ++i) {
    mean_g.value[i] = gamma.value[i] * (mean_g.value[i] / count);
    mean_product.value[i] = gamma.value[i] * (mean_product.value[i] / count);
  }
  const std::int64_t stride = std::int64_t{gridDim.y} * kColumnSumWarps;
  for (std::int64_t group = std::int64_t{blockIdx.y} * kColumnSumWarps + threadIdx.y;
       group < groups; group += stride) {
    const std::int64_t at = group * channels + col;
    const Pack<kWidth> x = load_pack<kWidth>(arguments.x + at);
    Pack<kWidth> gradient = load_pack<kWidth>(arguments.dz + at);
    AE_UNROLL
    for (int i = 0; i < kWidth; ++i) {
      gradient.value[i] = normalization::input_gradient(
          gamma.value[i] * gradient.value[i], mean_g.value[i],
          normalization::normalized(x.value[i], scales.of(i)), mean_product.value[i], scales.of(i));
    }
    store_pack<kWidth>(arguments.dx + at, gradient);
  }
}

}  // namespace

void batch_norm_gradient(const InputGradientArguments& arguments, const float* dgamma,
                         const float* dbeta, std::int64_t groups, std::int64_t channels,
                         Stream stream) {
  if (groups == 0 || channels == 0) return;
  if (channels >= kWideChannels && packs_of_four(channels, arguments.x, arguments.gamma,
                                                 arguments.dz, arguments.dx, dgamma, dbeta)) {
    AE_LAUNCH(batch_norm_gradient_kernel<4>, column_sum_shape(groups, channels, 4), stream,
              arguments, dgamma, dbeta, groups, channels);
  } else {
    AE_LAUNCH(batch_norm_gradient_kernel<1>, column_sum_shape(groups, channels, 1), stream,
              arguments, dgamma, dbeta, groups, channels);
  }
}

}  // namespace ae::AE_DEVICE_NAMESPACE
