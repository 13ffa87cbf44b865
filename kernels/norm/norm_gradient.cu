// dz = dy ⊙ f'(z), in place, of a normalisation's z = γ·x̂ + β over (groups, channels), with
//   dbeta[c] = Σ over groups of dz[:, c],  dgamma[c] = Σ over groups of dz[:, c]·x̂[:, c],
// given what its values were normalised by: each group's own, or each channel's. The slope is had
// from y, or from z, made again. Launch and order of summation: column_sums.cuh, two sums a column.
//
// Traffic: 16 bytes an element, 12 read and 4 written.
// 4 less where the slope needs z, which is made of x. Besides, a channel has 16 of partial sums for
// each block that crosses it, and 8 of sums; a group has 8, where they are its own.

#include "common/column_sums.cuh"
#include "common/last_block.cuh"
#include "common/pack.cuh"
#include "formulas/activations.hpp"
#include "norm/channel_scales.cuh"
#include "norm/norm_kernels.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

/// On a multiprocessor: up to 85 registers a thread, which is enough. Left to itself, the compiler
/// aims for fewer on some architectures, and spills.
constexpr int kBlocksAtOnce = 3;

struct Arguments {
  const float* x;
  const float* gamma;
  const float* beta;
  const float* statistics;
  const float* y;
  float* dy;
  float* dgamma;
  float* dbeta;
};

/// Both sums of a column.
template <int kWidth>
struct Sums {
  Pack<kWidth> gamma;
  Pack<kWidth> beta;

  __device__ void add(const Sums& other) {
    AE_UNROLL
    for (int i = 0; i < kWidth; ++i) {
      gamma.value[i] += other.gamma.value[i];
      beta.value[i] += other.beta.value[i];
    }
  }
};

template <typename Formula, typename Scales, int kWidth>
__global__ void __launch_bounds__(kColumnSumThreads, kBlocksAtOnce)
    norm_gradient_kernel(Arguments arguments, std::int64_t groups, std::int64_t channels,
                         Scratch scratch) {
  const std::int64_t col = first_column<kWidth>();
  const std::int64_t groups_a_block = (groups + gridDim.y - 1) / gridDim.y;
  const std::int64_t first = blockIdx.y * groups_a_block;
  const std::int64_t end = first + groups_a_block < groups ? first + groups_a_block : groups;
  const bool inside = col < channels;

  Sums<kWidth> sums{};
  if (inside) {
    const Pack<kWidth> gamma = load_pack<kWidth>(arguments.gamma + col);
    const Pack<kWidth> beta = load_pack<kWidth>(arguments.beta + col);
    Scales scales(arguments.statistics, channels, col);
    for (std::int64_t group = first + threadIdx.y; group < end; group += kColumnSumWarps) {
      scales.enter(group);
      const std::int64_t at = group * channels + col;
      const Pack<kWidth> x = load_pack<kWidth>(arguments.x + at);
      Pack<kWidth> y{};
      if constexpr (!Formula::kSlopeFromInput) y = load_pack<kWidth>(arguments.y + at);
      Pack<kWidth> dz = load_pack<kWidth>(arguments.dy + at);
      AE_UNROLL
      for (int i = 0; i < kWidth; ++i) {
        const float normalized = normalization::normalized(x.value[i], scales.of(i));
        dz.value[i] *=
            normalization::slope<Formula>(normalized, gamma.value[i], beta.value[i], y.value[i]);
        sums.gamma.value[i] += dz.value[i] * normalized;
        sums.beta.value[i] += dz.value[i];
      }
      store_pack<kWidth>(arguments.dy + at, dz);
    }
  }

  AE_SHARED(of_warp, Sums<kWidth>[kColumnSumWarps][32]);
  of_warp[threadIdx.y][threadIdx.x] = sums;
  __syncthreads();
  float* const parts = scratch.columns + col;
  if (threadIdx.y == 0 && inside) {
    for (int warp = 1; warp < kColumnSumWarps; ++warp) sums.add(of_warp[warp][threadIdx.x]);
    const std::int64_t at = std::int64_t{blockIdx.y} * 2 * channels;
    store_pack<kWidth>(parts + at, sums.gamma);
    store_pack<kWidth>(parts + at + channels, sums.beta);
  }

  if (!is_last_block(scratch.counters + blockIdx.x, gridDim.y)) return;
  if (threadIdx.y == 0 && inside) {
    Sums<kWidth> total{};
    for (std::int64_t block = 0; block < gridDim.y; ++block) {
      const std::int64_t at = block * 2 * channels;
      total.add({load_pack<kWidth>(parts + at), load_pack<kWidth>(parts + at + channels)});
    }
    store_pack<kWidth>(arguments.dgamma + col, total.gamma);
    store_pack<kWidth>(arguments.dbeta + col, total.beta);
  }
}

template <template <int> typename Scales, typename Backward>
void launch_norm_gradient(const Backward& op, const float* statistics, LaunchContext& context) {
  const std::int64_t channels = op.channels;
  if (channels == 0) return;
  const std::int64_t groups = normalized_groups(op);
  const Scratch scratch = context.scratch(two_column_sums_scratch(groups, channels));
  const Arguments arguments{.x = op.x.data,
                            .gamma = op.gamma.data,
                            .beta = op.beta.data,
                            .statistics = statistics,
                            .y = op.y.data,
                            .dy = op.dy.data,
                            .dgamma = op.dgamma.data,
                            .dbeta = op.dbeta.data};
  for_activation(op.activation, [&]<typename Formula>() {
    if (channels >= kWideChannels &&
        packs_of_four(channels, arguments.x, arguments.y, arguments.gamma, arguments.beta,
                      arguments.dy, arguments.dgamma, arguments.dbeta, scratch.columns)) {
      AE_LAUNCH((norm_gradient_kernel<Formula, Scales<4>, 4>),
                column_sum_shape(groups, channels, 4), context, arguments, groups, channels,
                scratch);
    } else {
      AE_LAUNCH((norm_gradient_kernel<Formula, Scales<1>, 1>),
                column_sum_shape(groups, channels, 1), context, arguments, groups, channels,
                scratch);
    }
  });
}

}  // namespace

void norm_gradient(const LayerNormBackward& op, LaunchContext& context) {
  launch_norm_gradient<ScalesOfGroups>(op, op.mean_rstd.data, context);
}

void norm_gradient(const BatchNormBackward& op, LaunchContext& context) {
  launch_norm_gradient<ScalesOfChannels>(op, op.mean_var.data, context);
}

}  // namespace ae::AE_DEVICE_NAMESPACE
