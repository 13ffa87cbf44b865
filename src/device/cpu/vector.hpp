#pragma once

#include <cstddef>
#include <cstring>

#include "formulas/host_device.hpp"

/// Vectors as wide as the instruction set's registers, for sources that are compiled once for each
/// of them with AE_ISA naming it.
namespace ae::cpu::AE_ISA {

inline constexpr std::size_t kWidth = AE_VECTOR_BYTES / sizeof(float);
using Vector = float __attribute__((vector_size(AE_VECTOR_BYTES)));

AE_HOST_DEVICE Vector load(const float* from) {
  Vector value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

AE_HOST_DEVICE void store(float* to, Vector value) {
  std::memcpy(to, &value, sizeof(value));
}

}  // namespace ae::cpu::AE_ISA
