#pragma once

/// The CUDA language for kernel sources, which are compiled twice: by nvcc into namespace ae::cuda,
/// and by the host compiler for the emulated device (simt/) into namespace ae::simt. Both have
///   Stream                          where launchers put their kernels, in order
///   LaunchShape{grid, block}        the extents of a launch
///   AE_LAUNCH(kernel, shape, where, arguments…)    the one way to launch a kernel, checked; on a
///                                   stream, or in a LaunchContext
///   AE_UNROLL                       before a loop whose arrays must stay in registers
///   AE_SHARED(name, type)           an array, or a value, that a block's threads share
///   aligned<bytes>(pointer)         a pointer that is known to be so aligned
#if defined(AE_SIMT)
#include "simt/launch.hpp"
#else
#include "cuda/launch.hpp"
#endif

#include <cstdint>

namespace ae::AE_DEVICE_NAMESPACE {

/// How many blocks cover `count` things, `per_block` each; grid-stride loops need no more than
/// `most`. At least one.
constexpr unsigned blocks_for(std::int64_t count, std::int64_t per_block, std::int64_t most) {
  const std::int64_t blocks = (count + per_block - 1) / per_block;
  return static_cast<unsigned>(blocks < 1 ? 1 : blocks < most ? blocks : most);
}

}  // namespace ae::AE_DEVICE_NAMESPACE
