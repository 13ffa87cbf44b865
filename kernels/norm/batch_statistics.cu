// statistics = [μ | σ²], the mean and the biased variance of each column of x (groups, channels),
// and what the running ones, [μ | σ²] as well, become by them. See ae::BatchNormForward.
//
// Launch and layout: column_sums.cuh, one column a lane. A block takes the mean of its stretch of
// groups, and then the squares around that mean, of values that are in cache then; the last block
// joins them, which is as exact as squares around the whole mean are, for one pass through memory:
//   μ = Σ nᵦ·μᵦ / N,  σ² = Σ (squaresᵦ + nᵦ·(μᵦ - μ)²) / N.
// Source: Chan, Golub & LeVeque, "Algorithms for computing the sample variance", 1983.
//
// Traffic: 4 bytes an element, all read.
// Besides, a column has 24 of partial results for each block that crosses it, and 24 of statistics.

#include "common/column_sums.cuh"
#include "common/last_block.cuh"
#include "formulas/normalization.hpp"
#include "norm/norm_kernels.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

/// Where a block's groups begin and end.
struct Stretch {
  std::int64_t begin;
  std::int64_t end;

  __device__ Stretch(std::int64_t groups, std::int64_t block) {
    const std::int64_t size = (groups + gridDim.y - 1) / gridDim.y;
    begin = block * size < groups ? block * size : groups;
    end = begin + size < groups ? begin + size : groups;
  }
  __device__ float count() const { return static_cast<float>(end - begin); }
};

/// The sum over a column's warps, in each of them. Every thread of the block must call this; it can
/// be called again at once.
__device__ float sum_of_warps(float value) {
  AE_SHARED(of_warp, float[kColumnSumWarps][32]);
  of_warp[threadIdx.y][threadIdx.x] = value;
  __syncthreads();
  float sum = 0.0F;
  for (int warp = 0; warp < kColumnSumWarps; ++warp) sum += of_warp[warp][threadIdx.x];
  __syncthreads();  // before another call writes of_warp
  return sum;
}

__global__ void __launch_bounds__(kColumnSumThreads)
    batch_statistics_kernel(const float* x, float* statistics, float* running, std::int64_t groups,
                            std::int64_t channels, Scratch scratch) {
  const std::int64_t col = first_column<1>();
  const bool inside = col < channels;
  const Stretch stretch(groups, blockIdx.y);

  float sum = 0.0F;
  if (inside) {
    for (std::int64_t group = stretch.begin + threadIdx.y; group < stretch.end;
         group += kColumnSumWarps) {
      sum += x[group * channels + col];
    }
  }
  const float total = sum_of_warps(sum);
  const float mean = stretch.end > stretch.begin ? total / stretch.count() : 0.0F;
  float square = 0.0F;
  if (inside) {
    for (std::int64_t group = stretch.begin + threadIdx.y; group < stretch.end;
         group += kColumnSumWarps) {
      const float off = x[group * channels + col] - mean;
      square += off * off;
    }
  }
  const float squares = sum_of_warps(square);
  float* const parts = scratch.columns + col;
  if (threadIdx.y == 0 && inside) {
    const std::int64_t at = std::int64_t{blockIdx.y} * 2 * channels;
    parts[at] = mean;
    parts[at + channels] = squares;
  }

  if (!is_last_block(scratch.counters + blockIdx.x, gridDim.y)) return;
  if (threadIdx.y != 0 || !inside) return;
  const auto count = static_cast<float>(groups);
  float whole_mean = 0.0F;
  for (std::int64_t block = 0; block < gridDim.y; ++block) {
    whole_mean += Stretch(groups, block).count() * parts[block * 2 * channels];
  }
  if (groups > 0) whole_mean /= count;
  float whole_squares = 0.0F;
  for (std::int64_t block = 0; block < gridDim.y; ++block) {
    const std::int64_t at = block * 2 * channels;
    const float off = parts[at] - whole_mean;
    whole_squares += parts[at + channels] + Stretch(groups, block).count() * (off * off);
  }
  statistics[col] = whole_mean;
  statistics[channels + col] = groups > 0 ? whole_squares / count : 0.0F;
  if (groups == 0) return;
  running[col] = normalization::running(running[col], whole_mean);
  running[channels + col] = normalization::running(running[channels + col],
                                                   normalization::unbiased(whole_squares, count));
}

}  // namespace

void batch_statistics(const BatchNormForward& op, LaunchContext& context) {
  if (op.channels == 0) return;
  const std::int64_t groups = normalized_groups(op);
  const Scratch scratch = context.scratch(two_column_sums_scratch(groups, op.channels));
  AE_LAUNCH(batch_statistics_kernel, column_sum_shape(groups, op.channels, 1), context, op.x.data,
            op.mean_var.data, op.running.data, groups, op.channels, scratch);
}

}  // namespace ae::AE_DEVICE_NAMESPACE
