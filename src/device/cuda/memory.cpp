#include "device/cuda/memory.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

#include <fmt/format.h>

#include "ae/error.hpp"

namespace ae::cuda {

namespace {

constexpr double kMiB = 1024.0 * 1024.0;

}  // namespace

Memory::Memory(int device, cudaStream_t stream, std::size_t limit)
    : stream_(stream), limit_(limit) {
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
  const std::size_t size = std::max<std::size_t>(bytes, 1);
  const bool within_limit = limit_ == 0 || size <= limit_ - in_use_;
  const cudaError_t status = within_limit
                                 ? cudaMallocFromPoolAsync(&memory, size, pool_.get(), stream_)
                                 : cudaErrorMemoryAllocation;
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    const Capacity seen = capacity();
    throw Error(fmt::format(
        "the GPU is out of memory, {:.1f} MiB were asked for and {:.1f} of {:.1f} MiB are free, "
        "use a smaller model or --batch-size{}, or --device cpu",
        static_cast<double>(bytes) / kMiB, static_cast<double>(seen.free) / kMiB,
        static_cast<double>(seen.total) / kMiB, within_limit ? "" : ", a larger --gpu-memory"));
  }
  check(status, "cudaMallocFromPoolAsync");
  sizes_.emplace(memory, size);
  in_use_ += size;
  return memory;
}

void Memory::deallocate(void* memory) noexcept {
  if (const auto found = sizes_.find(memory); found != sizes_.end()) {
    in_use_ -= found->second;
    sizes_.erase(found);
  }
  static_cast<void>(cudaFreeAsync(memory, stream_));
}

Memory::Capacity Memory::capacity() const {
  Capacity seen{};
  check(cudaMemGetInfo(&seen.free, &seen.total), "cudaMemGetInfo");
  // What the pool keeps for this run is not free to others, but to us it is.
  std::uint64_t reserved = 0;
  std::uint64_t used = 0;
  check(cudaMemPoolGetAttribute(pool_.get(), cudaMemPoolAttrReservedMemCurrent, &reserved),
        "cudaMemPoolGetAttribute");
  check(cudaMemPoolGetAttribute(pool_.get(), cudaMemPoolAttrUsedMemCurrent, &used),
        "cudaMemPoolGetAttribute");
  if (reserved > used) seen.free += reserved - used;
  if (limit_ == 0) return seen;
  return {std::min(seen.free, limit_ - in_use_), std::min(seen.total, limit_)};
}

}  // namespace ae::cuda
