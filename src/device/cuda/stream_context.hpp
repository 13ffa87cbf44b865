#pragma once

#include <memory>
#include <vector>

#include "device/cuda/memory.hpp"
#include "device/kernel/scratch_memory.hpp"

namespace ae::cuda {

/// For launches on a stream outside of a step, with products by our own kernel.
class StreamContext final : public LaunchContext {
 public:
  StreamContext(Memory& memory, cudaStream_t stream) : memory_(memory), stream_(stream) {}

  [[nodiscard]] Stream stream() override { return stream_; }
  [[nodiscard]] Scratch scratch(const ScratchSizes& sizes) override {
    return scratch_.at_least(sizes, [this](std::size_t bytes, bool zeroed) {
      owned_.push_back(std::make_unique<Allocation>(memory_, bytes));
      void* const memory = owned_.back()->data();
      if (zeroed) check(cudaMemsetAsync(memory, 0, bytes, stream_), "cudaMemsetAsync");
      return memory;
    });
  }

 private:
  Memory& memory_;
  cudaStream_t stream_;
  std::vector<std::unique_ptr<Allocation>> owned_;
  ScratchMemory scratch_;
};

}  // namespace ae::cuda
