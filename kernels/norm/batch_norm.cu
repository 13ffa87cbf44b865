// y = f(γ·x̂ + β) with x̂ = (x - μ)/√(σ² + ε) by each column's statistics [μ | σ²]; x and y are
// (groups, channels).
//
// Launch and layout: column_sums.cuh; a thread keeps to its columns, and so makes their scale once.
//
// Traffic: 8 bytes an element, 4 read and 4 written.
// Besides, a column has 16 of statistics, γ and β for each block that crosses it.

#include "common/column_sums.cuh"
#include "common/pack.cuh"
#include "formulas/activations.hpp"
#include "norm/channel_scales.cuh"
#include "norm/norm_kernels.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

struct Arguments {
  const float* x;
  const float* gamma;
  const float* beta;
  const float* statistics;
  float* y;
};

template <typename Formula, int kWidth>
__global__ void __launch_bounds__(kColumnSumThreads)
    batch_norm_kernel(Arguments arguments, std::int64_t groups, std::int64_t channels) {
  const std::int64_t col = first_column<kWidth>();
  if (col >= channels) return;
  const ScalesOfChannels<kWidth> scales(arguments.statistics, channels, col);
  const Pack<kWidth> gamma = load_pack<kWidth>(arguments.gamma + col);
  const Pack<kWidth> beta = load_pack<kWidth>(arguments.beta + col);
  const std::int64_t stride = std::int64_t{gridDim.y} * kColumnSumWarps;
  for (std::int64_t group = std::int64_t{blockIdx.y} * kColumnSumWarps + threadIdx.y;
       group < groups; group += stride) {
    const std::int64_t at = group * channels + col;
    Pack<kWidth> value = load_pack<kWidth>(arguments.x + at);
    AE_UNROLL
    for (int i = 0; i < kWidth; ++i) {
      const float normalized = normalization::normalized(value.value[i], scales.of(i));
      value.value[i] =
          Formula::value(normalization::affine(normalized, gamma.value[i], beta.value[i]));
    }
    store_pack<kWidth>(arguments.y + at, value);
  }
}

}  // namespace

void launch(const BatchNormForward& op, LaunchContext& context) {
  const bool is_training = op.mean_var.exists();
  if (is_training) batch_statistics(op, context);
  const std::int64_t groups = normalized_groups(op);
  const std::int64_t channels = op.channels;
  if (groups == 0 || channels == 0) return;
  const Arguments arguments{.x = op.x.data,
                            .gamma = op.gamma.data,
                            .beta = op.beta.data,
                            .statistics = is_training ? op.mean_var.data : op.running.data,
                            .y = op.y.data};
  for_activation(op.activation, [&]<typename Formula>() {
    if (channels >= kWideChannels &&
        packs_of_four(channels, arguments.x, arguments.gamma, arguments.beta, arguments.y)) {
      AE_LAUNCH((batch_norm_kernel<Formula, 4>), column_sum_shape(groups, channels, 4), context,
                arguments, groups, channels);
    } else {
      AE_LAUNCH((batch_norm_kernel<Formula, 1>), column_sum_shape(groups, channels, 1), context,
                arguments, groups, channels);
    }
  });
}

}  // namespace ae::AE_DEVICE_NAMESPACE
