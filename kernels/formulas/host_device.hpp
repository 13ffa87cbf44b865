#pragma once

/// AE_HOST_DEVICE marks a formula that is compiled for the CPU and for the GPU from one source. It
/// is always inlined, so that each CPU instruction set gets its own copy.
#if defined(__CUDACC__)
#define AE_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define AE_HOST_DEVICE [[gnu::always_inline]] inline
#endif
