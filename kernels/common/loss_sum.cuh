#pragma once

#include "common/column_sums.cuh"
#include "common/last_block.cuh"
#include "common/launch_context.hpp"
#include "common/reduce.cuh"

namespace ae::AE_DEVICE_NAMESPACE {

/// *sum += Σ of every thread's share, for kernels in the frame of column_sums.cuh, after
/// sum_columns(): the blocks' sums by the last block. Every thread must call this, once. True in
/// the block that came last of all, which sees what the others wrote.
__device__ inline bool add_to_loss(double of_thread, const Scratch& scratch, double* sum) {
  const double of_block = block_sum<kColumnSumThreads>(of_thread);
  const unsigned blocks = gridDim.x * gridDim.y;
  if (threadIdx.x == 0 && threadIdx.y == 0) {
    scratch.losses[blockIdx.y * gridDim.x + blockIdx.x] = of_block;
  }
  if (!is_last_block(scratch.counters + gridDim.x, blocks)) return false;
  double of_blocks = 0;
  for (unsigned block = threadIdx.y * 32 + threadIdx.x; block < blocks;
       block += kColumnSumThreads) {
    of_blocks += scratch.losses[block];
  }
  const double total = block_sum<kColumnSumThreads>(of_blocks);
  if (threadIdx.x == 0 && threadIdx.y == 0) *sum += total;
  return true;
}

}  // namespace ae::AE_DEVICE_NAMESPACE
