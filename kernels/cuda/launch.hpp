#pragma once

#include <type_traits>

#include <cuda_runtime_api.h>

#include "cuda/check.hpp"

#define AE_DEVICE_NAMESPACE cuda

namespace ae::cuda {

/// Not owned; whoever made it lets it go.
using Stream = cudaStream_t;

struct LaunchShape {
  dim3 grid;
  dim3 block;
};

#if defined(__CUDACC__)

/// Launches with the arguments converted to the kernel's parameters, and throws if CUDA refuses.
template <typename... Parameters, typename... Arguments>
void launch_kernel(const char* name, void (*kernel)(Parameters...), const LaunchShape& shape,
                   Stream stream, const Arguments&... arguments) {
  kernel<<<shape.grid, shape.block, 0, stream>>>(static_cast<Parameters>(arguments)...);
  check(cudaGetLastError(), name);
}

template <int kBytes, typename T>
__device__ __forceinline__ T* aligned(T* pointer) {
  return static_cast<T*>(__builtin_assume_aligned(pointer, kBytes));
}

#define AE_LAUNCH(kernel, shape, where, ...) \
  ::ae::cuda::launch_kernel("launch of " #kernel, kernel, shape, where, __VA_ARGS__)

#define AE_UNROLL _Pragma("unroll")

#define AE_SHARED(name, ...) __shared__ std::type_identity_t<__VA_ARGS__> name

#endif

}  // namespace ae::cuda
