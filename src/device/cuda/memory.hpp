#pragma once

#include <cstddef>
#include <unordered_map>

#include "device/cuda/handles.hpp"

namespace ae::cuda {

/// The device memory of one run: a pool of its own, stream-ordered, that keeps what is freed until
/// the run ends. cudaMalloc would stop the whole device for every array.
class Memory {
 public:
  /// Hands out `limit` bytes at most; 0 is as much as there is.
  Memory(int device, cudaStream_t stream, std::size_t limit);
  /// Waits for what was freed: a pool must not go before it.
  ~Memory() { static_cast<void>(cudaStreamSynchronize(stream_)); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  /// Fresh memory, aligned to 256 bytes, holding anything; not null, also for no bytes.
  /// @throws Error with what was asked for and what is free, if there is not enough.
  [[nodiscard]] void* allocate(std::size_t bytes);
  void deallocate(void* memory) noexcept;

  struct Capacity {
    std::size_t free;
    std::size_t total;
  };
  /// What is left for this run, of what it may have in all.
  [[nodiscard]] Capacity capacity() const;

 private:
  cudaStream_t stream_;
  OwnedPool pool_;
  std::size_t limit_;
  std::size_t in_use_ = 0;
  std::unordered_map<void*, std::size_t> sizes_;
};

/// Memory from a Memory, freed with its owner.
class Allocation {
 public:
  Allocation(Memory& memory, std::size_t bytes)
      : memory_(memory), data_(memory.allocate(bytes)), bytes_(bytes) {}
  ~Allocation() { memory_.deallocate(data_); }
  Allocation(const Allocation&) = delete;
  Allocation& operator=(const Allocation&) = delete;

  [[nodiscard]] void* data() const { return data_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  Memory& memory_;
  void* data_;
  std::size_t bytes_;
};

}  // namespace ae::cuda
