#pragma once

#include <cstdint>

#include "ae/noise.hpp"

#include "cpu/instruction_set.hpp"
#include "formulas/philox.hpp"

namespace ae::cpu {

struct CorruptSimd {
  /// noisy[i] = clean[i] with noise, value i being number first + i of the stream.
  void (*corrupt)(const NoiseOptions& noise, const RandomStream& stream, std::int64_t first,
                  const float* clean, float* noisy, std::int64_t count);
};
AE_SIMD(CorruptSimd, corrupt_simd)

}  // namespace ae::cpu
