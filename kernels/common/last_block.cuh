#pragma once

#include "common/launch.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

/// True in every thread of the block that comes here last of `blocks`; for kernels that finish with
/// a sum over their blocks, without another launch. What other blocks wrote before they came here
/// is visible to it. `counter` is zero before and after. Every thread of a block must call this.
__device__ inline bool is_last_block(unsigned* counter, unsigned blocks) {
  AE_SHARED(last, bool);
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0 && threadIdx.y == 0) {
    last = atomicAdd(counter, 1U) == blocks - 1;
    if (last) *counter = 0;
  }
  __syncthreads();
  __threadfence();
  return last;
}

}  // namespace ae::AE_DEVICE_NAMESPACE
