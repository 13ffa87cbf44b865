// dx = γ·(dz - dβ/N - x̂·dγ/N)/√(σ² + ε) over (groups, channels), N = groups, by each column's
// statistics [μ | σ²] and the sums dγ and dβ of it. See ae::BatchNormBackward.
//
// Launch and layout: column_sums.cuh; a thread keeps to its columns, and so makes their scale once.
//
// Traffic: 12 bytes an element, 8 read and 4 written.
// Besides, a column has 20 of statistics, γ and sums for each block that crosses it.

#include "common/column_sums.cuh"
#include "common/pack.cuh"
#include "norm/channel_scales.cuh"
#include "norm/norm_kernels.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

struct Arguments {
  const float* x;
  const float* gamma;
  const float* statistics;
  const float* dgamma;
  const float* dbeta;
  const float* dz;
  float* dx;
};

template <int kWidth>
__global__ void __launch_bounds__(kColumnSumThreads)
    batch_norm_gradient_kernel(Arguments arguments, std::int64_t groups, std::int64_t channels) {
  const std::int64_t col = first_column<kWidth>();
  if (col >= channels) return;
  const auto count = static_cast<float>(groups);
  const ScalesOfChannels<kWidth> scales(arguments.statistics, channels, col);
  const Pack<kWidth> gamma = load_pack<kWidth>(arguments.gamma + col);
  Pack<kWidth> mean_g = load_pack<kWidth>(arguments.dbeta + col);
  Pack<kWidth> mean_product = load_pack<kWidth>(arguments.dgamma + col);
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

void launch(const BatchNormBackward& op, LaunchContext& context) {
  norm_gradient(op, context);
  const std::int64_t groups = normalized_groups(op);
  const std::int64_t channels = op.channels;
  if (!op.dx.exists() || groups == 0 || channels == 0) return;
  const Arguments arguments{.x = op.x.data,
                            .gamma = op.gamma.data,
                            .statistics = op.mean_var.data,
                            .dgamma = op.dgamma.data,
                            .dbeta = op.dbeta.data,
                            .dz = op.dy.data,
                            .dx = op.dx.data};
  if (channels >= kWideChannels &&
      packs_of_four(channels, arguments.x, arguments.gamma, arguments.dz, arguments.dx,
                    arguments.dgamma, arguments.dbeta)) {
    AE_LAUNCH(batch_norm_gradient_kernel<4>, column_sum_shape(groups, channels, 4), context,
              arguments, groups, channels);
  } else {
    AE_LAUNCH(batch_norm_gradient_kernel<1>, column_sum_shape(groups, channels, 1), context,
              arguments, groups, channels);
  }
}

}  // namespace ae::AE_DEVICE_NAMESPACE
