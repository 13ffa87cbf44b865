#include "cuda/calls.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include <cuda_runtime_api.h>

namespace {

ae::test::CudaCalls calls;  // the tests call CUDA from one thread
std::vector<std::size_t> graphs;

int done = 0;  // launches that the host has waited for
int most_ahead = 0;
std::unordered_map<cudaEvent_t, int> launches_before;  // events, when they were recorded

}  // namespace

namespace ae::test {

CudaCalls cuda_calls() {
  return calls;
}
int most_launches_ahead() {
  return std::exchange(most_ahead, 0);
}
std::vector<std::size_t> graph_sizes() {
  return graphs;
}

}  // namespace ae::test

// `ld --wrap=f` turns calls of f into calls of __wrap_f, and __real_f into f.
#define AE_COUNT(counter, function, parameters, arguments) \
  cudaError_t __real_##function parameters;                \
  cudaError_t __wrap_##function parameters {               \
    ++calls.counter;                                       \
    return __real_##function arguments;                    \
  }

extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier): the linker's names

AE_COUNT(allocations, cudaMalloc, (void** memory, std::size_t bytes), (memory, bytes))
AE_COUNT(allocations, cudaFree, (void* memory), (memory))
AE_COUNT(allocations, cudaMallocAsync, (void** memory, std::size_t bytes, cudaStream_t stream),
         (memory, bytes, stream))
AE_COUNT(allocations, cudaMallocFromPoolAsync,
         (void** memory, std::size_t bytes, cudaMemPool_t pool, cudaStream_t stream),
         (memory, bytes, pool, stream))
AE_COUNT(allocations, cudaFreeAsync, (void* memory, cudaStream_t stream), (memory, stream))
AE_COUNT(allocations, cudaMallocHost, (void** memory, std::size_t bytes), (memory, bytes))
AE_COUNT(allocations, cudaFreeHost, (void* memory), (memory))

AE_COUNT(copies, cudaMemcpy, (void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind),
         (to, from, bytes, kind))
AE_COUNT(copies, cudaMemcpyAsync,
         (void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream),
         (to, from, bytes, kind, stream))
AE_COUNT(copies, cudaMemset, (void* memory, int value, std::size_t bytes), (memory, value, bytes))
AE_COUNT(copies, cudaMemsetAsync, (void* memory, int value, std::size_t bytes, cudaStream_t stream),
         (memory, value, bytes, stream))

AE_COUNT(synchronizations, cudaDeviceSynchronize, (), ())

cudaError_t __real_cudaStreamSynchronize(cudaStream_t stream);
cudaError_t __wrap_cudaStreamSynchronize(cudaStream_t stream) {
  ++calls.synchronizations;
  done = calls.launches;
  return __real_cudaStreamSynchronize(stream);
}

cudaError_t __real_cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t __wrap_cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  launches_before[event] = calls.launches;
  return __real_cudaEventRecord(event, stream);
}

cudaError_t __real_cudaEventSynchronize(cudaEvent_t event);
cudaError_t __wrap_cudaEventSynchronize(cudaEvent_t event) {
  ++calls.synchronizations;
  done = std::max(done, launches_before[event]);
  return __real_cudaEventSynchronize(event);
}

cudaError_t __real_cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream);
cudaError_t __wrap_cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
  ++calls.launches;
  most_ahead = std::max(most_ahead, calls.launches - done);
  return __real_cudaGraphLaunch(graph, stream);
}

#if CUDART_VERSION >= 13000  // what nvcc makes of <<<>>>
AE_COUNT(kernels, __cudaLaunchKernel,
         (cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments, std::size_t shared,
          cudaStream_t stream),
         (kernel, grid, block, arguments, shared, stream))
#else
AE_COUNT(kernels, cudaLaunchKernel,
         (const void* kernel, dim3 grid, dim3 block, void** arguments, std::size_t shared,
          cudaStream_t stream),
         (kernel, grid, block, arguments, shared, stream))
#endif

cudaError_t __real_cudaGraphInstantiateWithFlags(cudaGraphExec_t* made, cudaGraph_t graph,
                                                 unsigned long long flags);
cudaError_t __wrap_cudaGraphInstantiateWithFlags(cudaGraphExec_t* made, cudaGraph_t graph,
                                                 unsigned long long flags) {
  std::size_t nodes = 0;
  const cudaError_t status = cudaGraphGetNodes(graph, nullptr, &nodes);
  graphs.push_back(nodes);
  return status != cudaSuccess ? status : __real_cudaGraphInstantiateWithFlags(made, graph, flags);
}

// NOLINTEND(bugprone-reserved-identifier)
}
