#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace ae::cpu {

/// Begins on a cache line, and so every vector in it that is counted from there lies within one.
template <typename T>
struct CacheLineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kLine{64};

  CacheLineAllocator() = default;
  template <typename Other>
  // NOLINTNEXTLINE(google-explicit-constructor): allocators of all types are one
  CacheLineAllocator(const CacheLineAllocator<Other>& /*other*/) {}

  [[nodiscard]] T* allocate(std::size_t count) {
    return static_cast<T*>(::operator new(count * sizeof(T), kLine));
  }
  void deallocate(T* memory, std::size_t /*count*/) noexcept { ::operator delete(memory, kLine); }
  bool operator==(const CacheLineAllocator&) const = default;
};

using AlignedFloats = std::vector<float, CacheLineAllocator<float>>;

}  // namespace ae::cpu
