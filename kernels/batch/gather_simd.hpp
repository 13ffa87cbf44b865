#pragma once

#include <cstdint>

#include "cpu/instruction_set.hpp"

namespace ae::cpu {

struct GatherSimd {
  /// to[i] = from[i] / 255.
  void (*convert_bytes)(const std::uint8_t* from, float* to, std::int64_t count);
};
AE_SIMD(GatherSimd, gather_simd)

}  // namespace ae::cpu
