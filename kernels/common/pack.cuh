#pragma once

#include <cstdint>

#include "common/launch.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

/// Neighbouring elements that travel in one access: four floats are 16 bytes, the widest that a
/// thread can load or store at once.
template <typename Element, int kWidth>
struct alignas(sizeof(Element[kWidth])) PackOf {
  Element value[kWidth];
};

template <int kWidth>
using Pack = PackOf<float, kWidth>;

template <int kWidth, typename Element>
__device__ inline PackOf<Element, kWidth> load_pack(const Element* from) {
  using Packed = PackOf<Element, kWidth>;
  return *reinterpret_cast<const Packed*>(aligned<sizeof(Packed)>(from));
}

template <int kWidth, typename Element>
__device__ inline void store_pack(Element* to, const PackOf<Element, kWidth>& pack) {
  using Packed = PackOf<Element, kWidth>;
  *reinterpret_cast<Packed*>(aligned<sizeof(Packed)>(to)) = pack;
}

/// values[col mod channels] and those of the columns behind it: what repeats along a row.
template <int kWidth>
__device__ inline Pack<kWidth> load_repeating(const float* values, std::int64_t col,
                                              std::int64_t channels) {
  Pack<kWidth> pack;
  const auto count = static_cast<unsigned>(channels);
  unsigned channel = static_cast<unsigned>(col) % count;
  AE_UNROLL
  for (int i = 0; i < kWidth; ++i) {
    pack.value[i] = values[channel];
    channel = channel + 1 == count ? 0 : channel + 1;
  }
  return pack;
}

/// Whether rows of `cols` elements at these addresses can be taken four elements at a time.
template <typename... Elements>
bool packs_of_four(std::int64_t cols, const Elements*... pointers) {
  const auto aligned_to = [](const void* pointer, std::size_t bytes) {
    return reinterpret_cast<std::uintptr_t>(pointer) % bytes == 0;
  };
  return cols % 4 == 0 && (aligned_to(pointers, 4 * sizeof(Elements)) && ...);
}

}  // namespace ae::AE_DEVICE_NAMESPACE
