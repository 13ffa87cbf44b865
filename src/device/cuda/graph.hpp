#pragma once

#include <functional>

#include "device/cuda/handles.hpp"

namespace ae::cuda {

/// What was put on a stream, and on those that joined it, as one unit of work that is launched with
/// one call.
class Graph {
 public:
  /// Captures what `work` puts on `stream`, without running it.
  Graph(cudaStream_t stream, const std::function<void()>& work);

  void launch() const { check(cudaGraphLaunch(exec_.get(), stream_), "cudaGraphLaunch"); }

 private:
  cudaStream_t stream_;
  OwnedGraphExec exec_;
};

}  // namespace ae::cuda
