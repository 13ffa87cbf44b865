#pragma once

#include "common/launch.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

/// The sum over a warp's lanes, in each of them and with the same bits in each: a + b is b + a. By
/// halves: lane i adds lane i ± 16, then i ± 8, …. Every lane must call this.
__device__ inline float row_sum(float value) {
  constexpr unsigned kWholeWarp = 0xFFFFFFFFU;
  for (unsigned distance = 16; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kWholeWarp, value, distance);
  }
  return value;
}

}  // namespace ae::AE_DEVICE_NAMESPACE
