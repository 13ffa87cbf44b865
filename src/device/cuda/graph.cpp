#include "device/cuda/graph.hpp"

namespace ae::cuda {

Graph::Graph(cudaStream_t stream, const std::function<void()>& work) : stream_(stream) {
  OwnedGraph graph;
  // Relaxed: kernels are loaded when they are first launched, which may be here, and loading calls
  // what the stricter modes forbid.
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), "cudaStreamBeginCapture");
  try {
    work();
  } catch (...) {
    static_cast<void>(cudaStreamEndCapture(stream, graph.out()));
    static_cast<void>(cudaGetLastError());
    throw;
  }
  check(cudaStreamEndCapture(stream, graph.out()), "cudaStreamEndCapture");
  check(cudaGraphInstantiateWithFlags(exec_.out(), graph.get(), 0), "cudaGraphInstantiate");
  check(cudaGraphUpload(exec_.get(), stream), "cudaGraphUpload");
}

}  // namespace ae::cuda
