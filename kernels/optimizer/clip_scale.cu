// *scale = min(1, c/(‖g‖ + 1e-6)), what clips all gradients of a model to the norm c.
//
// Grid-stride, 16 bytes a thread and access. Squares and their sums are double throughout: the norm
// is asked for just when gradients explode, and float's squares end at 2⁶⁴. Each block's sum goes
// to scratch, and the last block adds them up.
//
// Traffic: 4 bytes a parameter, all read.
// Besides, a block has 16 of partial sums.

#include "common/last_block.cuh"
#include "common/launch_context.hpp"
#include "common/pack.cuh"
#include "common/reduce.cuh"
#include "formulas/optimizers.hpp"
#include "optimizer/clip_scale.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

constexpr int kThreads = 256;
constexpr int kMostBlocks = 1024;

template <int kWidth>
__global__ void __launch_bounds__(kThreads)
    clip_scale_kernel(const float* gradients, std::int64_t count, float max_norm, float* scale,
                      double* partials, unsigned* counter) {
  double of_thread = 0;
  const std::int64_t stride = std::int64_t{gridDim.x} * kThreads * kWidth;
  for (std::int64_t i = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * kWidth; i < count;
       i += stride) {
    const Pack<kWidth> gradient = load_pack<kWidth>(gradients + i);
    AE_UNROLL
    for (int e = 0; e < kWidth; ++e) {
      const auto g = static_cast<double>(gradient.value[e]);
      of_thread += g * g;
    }
  }
  const double of_block = block_sum<kThreads>(of_thread);
  if (threadIdx.x == 0) partials[blockIdx.x] = of_block;
  if (!is_last_block(counter, gridDim.x)) return;
  double of_partials = 0;
  for (unsigned block = threadIdx.x; block < gridDim.x; block += kThreads) {
    of_partials += partials[block];
  }
  const double squares = block_sum<kThreads>(of_partials);
  if (threadIdx.x == 0) *scale = optimizers::clip_scale(squares, max_norm);
}

}  // namespace

void launch(const ClipScale& op, LaunchContext& context) {
  const float* const gradients = op.gradients.data;
  const std::int64_t count = op.gradients.size();
  const bool is_wide = packs_of_four(count, gradients);
  const LaunchShape shape{blocks_for(count, kThreads * (is_wide ? 4 : 1), kMostBlocks),
                          dim3(kThreads)};
  const Scratch scratch = context.scratch({.losses = shape.grid.x, .counters = 1});
  if (is_wide) {
    AE_LAUNCH(clip_scale_kernel<4>, shape, context, gradients, count, op.max_norm, op.scale.data,
              scratch.losses, scratch.counters);
  } else {
    AE_LAUNCH(clip_scale_kernel<1>, shape, context, gradients, count, op.max_norm, op.scale.data,
              scratch.losses, scratch.counters);
  }
}

}  // namespace ae::AE_DEVICE_NAMESPACE
