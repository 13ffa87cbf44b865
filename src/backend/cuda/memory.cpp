#include "backend/cuda/memory.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

#include <fmt/format.h>

#include "ae/error.hpp"

namespace ae::cuda {

namespace {

constexpr double kMiB = 1024.0 * 1024.0;

}  // namespace

Memory::Memory(int device, cudaStream_t stream) : stream_(stream) {
  cudaMemPoolProps properties{};
  properties.allocType = cudaMemAllocationTypePinned;
  properties.location.type = cudaMemLocationTypeDevice;
  properties.location.id = device;
  check(cudaMemPoolCreate(pool_.out(), &properties), "cudaMemPoolCreate");
  std::uint64_t threshold = std::numeric_limits<std::uint64_t>::max();
  check(cudaMemPoolSetAttribute(pool_.get(), cudaMemPoolAttrReleaseThreshold, &threshold),
        "cudaMemPoolSetAttribute");
}

void* Memory::allocate(std::size_t bytes) {
  void* memory = nullptr;
  const cudaError_t status =
      cudaMallocFromPoolAsync(&memory, std::max<std::size_t>(bytes, 1), pool_.get(), stream_);
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    const Capacity seen = capacity();
    throw Error(
        fmt::format("the GPU is out of memory, {:.1f} MiB were asked for and {:.1f} of {:.1f} MiB "
                    "are free, use a smaller model or --batch-size, or --device cpu",
                    static_cast<double>(bytes) / kMiB, static_cast<double>(seen.free) / kMiB,
                    static_cast<double>(seen.total) / kMiB));
  }
  check(status, "cudaMallocFromPoolAsync");
  return memory;
}

void Memory::deallocate(void* memory) noexcept {
  static_cast<void>(cudaFreeAsync(memory, stream_));
}

Memory::Capacity Memory::capacity() {
  Capacity seen{};
  check(cudaMemGetInfo(&seen.free, &seen.total), "cudaMemGetInfo");
  return seen;
}

}  // namespace ae::cuda
