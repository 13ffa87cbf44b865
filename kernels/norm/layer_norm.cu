// y = f(γ·x̂ + β) with x̂ = (x - μ)/√(σ² + ε) by each row's own mean and variance; x and y are
// (groups, channels). What a row was normalised by, μ and 1/√(σ² + ε), is kept if asked for.
//
// A warp a row, its lanes along the channels; a row comes from cache when it is read for its
// variance, and again for y. Sums by halves, so that every lane has the same bits.
//
// Traffic: 8 bytes an element, 4 read and 4 written.
// Besides, 8 are written a row where they are kept. γ and β, which every row reads again, are taken
// to come from cache.

#include "common/launch_context.hpp"
#include "common/row_sum.cuh"
#include "formulas/activations.hpp"
#include "formulas/normalization.hpp"
#include "norm/layer_norm.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

constexpr int kWarps = 4;
constexpr int kMostBlocks = 4096;

struct Arguments {
  const float* x;
  const float* gamma;
  const float* beta;
  float* y;
  float* statistics;  ///< may be null
};

template <typename Formula>
__global__ void __launch_bounds__(32 * kWarps)
    layer_norm_kernel(Arguments arguments, std::int64_t groups, std::int64_t channels) {
  const std::int64_t stride = std::int64_t{gridDim.x} * kWarps;
  const auto count = static_cast<float>(channels);
  for (std::int64_t group = std::int64_t{blockIdx.x} * kWarps + threadIdx.y; group < groups;
       group += stride) {
    const float* x = arguments.x + group * channels;
    float* y = arguments.y + group * channels;
    float sum = 0.0F;
    for (std::int64_t c = threadIdx.x; c < channels; c += 32) sum += x[c];
    const float mean = row_sum(sum) / count;
    float squares = 0.0F;
    for (std::int64_t c = threadIdx.x; c < channels; c += 32) {
      squares += (x[c] - mean) * (x[c] - mean);
    }
    const normalization::Scale scale{mean,
                                     normalization::inverse_deviation(row_sum(squares) / count)};
    for (std::int64_t c = threadIdx.x; c < channels; c += 32) {
      y[c] = Formula::value(normalization::affine(normalization::normalized(x[c], scale),
                                                  arguments.gamma[c], arguments.beta[c]));
    }
    if (arguments.statistics != nullptr && threadIdx.x == 0) {
      arguments.statistics[2 * group] = scale.mean;
      arguments.statistics[2 * group + 1] = scale.inverse_deviation;
    }
  }
}

}  // namespace

void launch(const LayerNormForward& op, LaunchContext& context) {
  const std::int64_t groups = normalized_groups(op);
  if (groups == 0 || op.channels == 0) return;
  const Arguments arguments{.x = op.x.data,
                            .gamma = op.gamma.data,
                            .beta = op.beta.data,
                            .y = op.y.data,
                            .statistics = op.mean_rstd.data};
  const LaunchShape shape{blocks_for(groups, kWarps, kMostBlocks), dim3(32, kWarps)};
  for_activation(op.activation, [&]<typename Formula>() {
    AE_LAUNCH(layer_norm_kernel<Formula>, shape, context, arguments, groups, op.channels);
  });
}

}  // namespace ae::AE_DEVICE_NAMESPACE
