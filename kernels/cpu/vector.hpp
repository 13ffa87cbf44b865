#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "formulas/host_device.hpp"

/// Vectors as wide as the instruction set's registers, for the sources *_simd.cpp. They are
/// compiled several times, each with the compiler flags of one instruction set, and AE_ISA names
/// it. Nothing but always-inlined functions may be used from there: an ordinary inline function
/// would be shared with the rest of the program, and the linker might keep the copy that needs
/// AVX-512.
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

AE_HOST_DEVICE std::int64_t smaller(std::int64_t a, std::int64_t b) {
  return a < b ? a : b;
}

}  // namespace ae::cpu::AE_ISA
