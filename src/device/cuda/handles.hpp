#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include <cuda_runtime_api.h>

#include "cuda/check.hpp"

/// Owners of CUDA objects: made by their constructors or not at all, released once, moved and never
/// copied. Releasing cannot fail in a way that anyone could act on, so its status is dropped.
namespace ae::cuda {

/// Owns a handle that `release` lets go.
template <typename Handle, auto release>
class Owner {
 public:
  Owner() = default;
  explicit Owner(Handle handle) : handle_(handle) {}
  Owner(Owner&& other) noexcept : handle_(std::exchange(other.handle_, Handle{})) {}
  Owner& operator=(Owner&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;
  ~Owner() {
    if (handle_ != Handle{}) static_cast<void>(release(handle_));
  }

  [[nodiscard]] Handle get() const { return handle_; }
  /// For functions that hand out a new handle.
  [[nodiscard]] Handle* out() { return &handle_; }

 private:
  Handle handle_{};
};

using OwnedStream = Owner<cudaStream_t, cudaStreamDestroy>;
using OwnedEvent = Owner<cudaEvent_t, cudaEventDestroy>;
using OwnedGraph = Owner<cudaGraph_t, cudaGraphDestroy>;
using OwnedGraphExec = Owner<cudaGraphExec_t, cudaGraphExecDestroy>;
using OwnedPool = Owner<cudaMemPool_t, cudaMemPoolDestroy>;
using PinnedMemory = Owner<void*, cudaFreeHost>;

/// A stream that does not wait for the legacy default stream.
inline OwnedStream make_stream() {
  OwnedStream stream;
  check(cudaStreamCreateWithFlags(stream.out(), cudaStreamNonBlocking), "cudaStreamCreate");
  return stream;
}

/// An event for ordering only: it takes no time stamps.
inline OwnedEvent make_event() {
  OwnedEvent event;
  check(cudaEventCreateWithFlags(event.out(), cudaEventDisableTiming), "cudaEventCreate");
  return event;
}

inline PinnedMemory make_pinned(std::size_t bytes) {
  PinnedMemory memory;
  check(cudaMallocHost(memory.out(), bytes), "cudaMallocHost");
  return memory;
}

/// What is put on `stream` from here on starts after what was put on `before` up to now.
inline void wait_for(cudaStream_t stream, cudaStream_t before, const OwnedEvent& event) {
  check(cudaEventRecord(event.get(), before), "cudaEventRecord");
  check(cudaStreamWaitEvent(stream, event.get()), "cudaStreamWaitEvent");
}

}  // namespace ae::cuda
