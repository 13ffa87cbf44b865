#pragma once

#include "common/launch.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

/// The sum over the lanes of a warp, in lane 0; elsewhere nothing of use. By halves: lane i takes
/// lane i + 16, then i + 8, …. Every lane must call this.
template <typename T>
__device__ T warp_sum(T value) {
  constexpr unsigned kWholeWarp = 0xFFFFFFFFU;
  for (unsigned distance = 16; distance > 0; distance /= 2) {
    value += __shfl_down_sync(kWholeWarp, value, distance);
  }
  return value;
}

/// The sum of every thread's value, in thread 0; elsewhere nothing of use. Within each warp as
/// warp_sum does, then the warps' sums in the order of the warps: the same order at every launch.
/// Every thread of the block, kThreads of them, must call this; it can be called again at once.
template <int kThreads>
__device__ double block_sum(double value) {
  static_assert(kThreads % 32 == 0 && kThreads <= 1024);
  constexpr int kWarps = kThreads / 32;
  AE_SHARED(of_warp, double[kWarps]);

  const unsigned thread = threadIdx.y * blockDim.x + threadIdx.x;
  value = warp_sum(value);
  if (thread % 32 == 0) of_warp[thread / 32] = value;
  __syncthreads();
  double sum = 0;
  if (thread == 0) {
    for (int warp = 0; warp < kWarps; ++warp) sum += of_warp[warp];
  }
  __syncthreads();  // before another call writes of_warp
  return sum;
}

}  // namespace ae::AE_DEVICE_NAMESPACE
