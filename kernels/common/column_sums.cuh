#pragma once

#include <cstdint>

#include "common/last_block.cuh"
#include "common/launch.hpp"
#include "common/launch_context.hpp"
#include "common/pack.cuh"
#include "common/reduce.cuh"

/// The frame of kernels that pass once over a matrix and sum its columns on the way.
///
/// A block covers a stripe of 32·kWidth columns and a stretch of rows: one warp a row, each lane
/// kWidth neighbouring columns, so that a warp's accesses are contiguous. Each thread sums its
/// columns over its rows in registers, the warps' sums meet in shared memory, the block's sums go
/// to scratch, and the last block of a stripe adds up its blocks' sums in their order. Which block
/// is the last varies; what it adds up, and in what order, does not.
namespace ae::AE_DEVICE_NAMESPACE {

inline constexpr int kColumnSumWarps = 8;
inline constexpr int kColumnSumThreads = 32 * kColumnSumWarps;
inline constexpr std::int64_t kColumnSumRows = 32;  // of a block; more in batches that are huge
inline constexpr std::int64_t kColumnSumMostBlocks = 512;  // above each other

/// The first of the thread's columns.
template <int kWidth>
__device__ std::int64_t first_column() {
  return (std::int64_t{blockIdx.x} * 32 + threadIdx.x) * kWidth;
}

/// Calls visit(row, col, sum) for the thread's packs; visit adds what it finds to sum[0 … kWidth).
template <int kWidth, typename Visit>
__device__ void sum_columns(std::int64_t rows, std::int64_t cols, const Scratch& scratch,
                            float* sums, const Visit& visit) {
  const std::int64_t col = first_column<kWidth>();
  const std::int64_t rows_a_block = (rows + gridDim.y - 1) / gridDim.y;
  const std::int64_t first_row = blockIdx.y * rows_a_block;
  const std::int64_t end_row = first_row + rows_a_block < rows ? first_row + rows_a_block : rows;
  const bool inside = col < cols;

  Pack<kWidth> sum{};
  if (inside) {
    for (std::int64_t row = first_row + threadIdx.y; row < end_row; row += kColumnSumWarps) {
      visit(row, col, sum.value);
    }
  }
  AE_SHARED(of_warp, Pack<kWidth>[kColumnSumWarps][32]);
  of_warp[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y == 0 && inside) {
    for (int warp = 1; warp < kColumnSumWarps; ++warp) {
      for (int i = 0; i < kWidth; ++i) sum.value[i] += of_warp[warp][threadIdx.x].value[i];
    }
    store_pack<kWidth>(scratch.columns + std::int64_t{blockIdx.y} * cols + col, sum);
  }

  if (!is_last_block(scratch.counters + blockIdx.x, gridDim.y)) return;
  if (threadIdx.y == 0 && inside) {
    Pack<kWidth> total{};
    for (std::int64_t block = 0; block < gridDim.y; ++block) {
      const Pack<kWidth> part = load_pack<kWidth>(scratch.columns + block * cols + col);
      for (int i = 0; i < kWidth; ++i) total.value[i] += part.value[i];
    }
    store_pack<kWidth>(sums + col, total);
  }
}

/// Where sum_columns() puts the sums of columns that are yet to be folded.
__device__ inline float* columns_to_fold(const Scratch& scratch, std::int64_t cols) {
  return scratch.columns + gridDim.y * cols;
}

/// sums[c] = Σ of the column sums that are c modulo `channels`, by the block that comes last of
/// all: a warp a channel, each lane every 32nd of its columns, then by halves. Every thread of that
/// block must call this.
__device__ inline void fold_columns(const float* columns, std::int64_t cols, std::int64_t channels,
                                    float* sums) {
  for (std::int64_t channel = threadIdx.y; channel < channels; channel += kColumnSumWarps) {
    float sum = 0.0F;
    for (std::int64_t col = channel + threadIdx.x * channels; col < cols; col += 32 * channels) {
      sum += columns[col];
    }
    sum = warp_sum(sum);
    if (threadIdx.x == 0) sums[channel] = sum;
  }
}

/// The launch shape for `width` columns a lane. No rows still take one block, which writes zeros.
inline LaunchShape column_sum_shape(std::int64_t rows, std::int64_t cols, int width) {
  const std::int64_t stripe = 32 * std::int64_t{width};
  return {dim3(static_cast<unsigned>((cols + stripe - 1) / stripe),
               blocks_for(rows, kColumnSumRows, kColumnSumMostBlocks)),
          dim3(32, kColumnSumWarps)};
}

/// How much scratch sum_columns() needs, for the narrower of its two widths: it has the more
/// blocks. Besides the blocks' sums of the columns, those of all blocks, to be folded.
inline ScratchSizes column_sum_scratch(std::int64_t rows, std::int64_t cols) {
  const LaunchShape shape = column_sum_shape(rows, cols, 1);
  const std::int64_t stripes = shape.grid.x;
  const std::int64_t row_blocks = shape.grid.y;
  return {
      .columns = (row_blocks + 1) * cols, .losses = row_blocks * stripes, .counters = stripes + 1};
}

/// The same of kernels that sum two numbers a column.
inline ScratchSizes two_column_sums_scratch(std::int64_t rows, std::int64_t cols) {
  ScratchSizes sizes = column_sum_scratch(rows, cols);
  sizes.columns *= 2;
  return sizes;
}

}  // namespace ae::AE_DEVICE_NAMESPACE
