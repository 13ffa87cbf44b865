#pragma once

#include <cstddef>

#include "backend/cuda/handles.hpp"

namespace ae::cuda {

/// The device memory of one run: a pool of its own, stream-ordered, that keeps what is freed until
/// the run ends. cudaMalloc would stop the whole device for every array.
class Memory {
 public:
  Memory(int device, cudaStream_t stream);

  /// Fresh memory, aligned to 256 bytes, holding anything; not null, also for no bytes.
  /// @throws Error with what was asked for and what is free, if there is not enough.
  [[nodiscard]] void* allocate(std::size_t bytes);
  void deallocate(void* memory) noexcept;

  struct Capacity {
    std::size_t free;
    std::size_t total;
  };
  [[nodiscard]] static Capacity capacity();

 private:
  cudaStream_t stream_;
  OwnedPool pool_;
};

}  // namespace ae::cuda
