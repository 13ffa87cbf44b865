// dx = (g - mean of g - x̂·mean of g·x̂)/√(σ² + ε) with g = γ·dz, each mean over a row of (groups,
// channels), given what each row was normalised by. See ae::LayerNormBackward.
//
// A warp a row, its lanes along the channels; a row comes from cache when it is read again. Sums by
// halves, so that every lane has the same bits.
//
// Traffic: 12 bytes an element, 8 read and 4 written.
// Besides, 8 are read a row. γ, which every row reads again, is taken to come from cache.

#include "common/row_sum.cuh"
#include "formulas/normalization.hpp"
#include "norm/norm_kernels.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

constexpr int kWarps = 4;
constexpr int kMostBlocks = 4096;

struct Arguments {
  const float* x;
  const float* gamma;
  const float* statistics;
  const float* dz;
  float* dx;
};

__global__ void __launch_bounds__(32 * kWarps)
    layer_norm_gradient_kernel(Arguments arguments, std::int64_t groups, std::int64_t channels) {
  const std::int64_t stride = std::int64_t{gridDim.x} * kWarps;
  const auto count = static_cast<float>(channels);
  for (std::int64_t group = std::int64_t{blockIdx.x} * kWarps + threadIdx.y; group < groups;
       group += stride) {
    const float* x = arguments.x + group * channels;
    const float* dz = arguments.dz + group * channels;
    float* dx = arguments.dx + group * channels;
    const normalization::Scale scale{arguments.statistics[2 * group],
                                     arguments.statistics[2 * group + 1]};
    float sum = 0.0F;
    float product = 0.0F;
    for (std::int64_t c = threadIdx.x; c < channels; c += 32) {
      const float g = arguments.gamma[c] * dz[c];
      sum += g;
      product += g * normalization::normalized(x[c], scale);
    }
    const float mean_g = row_sum(sum) / count;
    const float mean_product = row_sum(product) / count;
    for (std::int64_t c = threadIdx.x; c < channels; c += 32) {
      dx[c] = normalization::input_gradient(arguments.gamma[c] * dz[c], mean_g,
                                            normalization::normalized(x[c], scale), mean_product,
                                            scale);
    }
  }
}

}  // namespace

void launch(const LayerNormBackward& op, LaunchContext& context) {
  norm_gradient(op, context);
  const std::int64_t groups = normalized_groups(op);
  if (!op.dx.exists() || groups == 0 || op.channels == 0) return;
  const Arguments arguments{.x = op.x.data,
                            .gamma = op.gamma.data,
                            .statistics = op.mean_rstd.data,
                            .dz = op.dy.data,
                            .dx = op.dx.data};
  const LaunchShape shape{blocks_for(groups, kWarps, kMostBlocks), dim3(32, kWarps)};
  AE_LAUNCH(layer_norm_gradient_kernel, shape, context, arguments, groups, op.channels);
}

}  // namespace ae::AE_DEVICE_NAMESPACE
