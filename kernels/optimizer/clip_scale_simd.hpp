#pragma once

#include <cstdint>

#include "cpu/instruction_set.hpp"

namespace ae::cpu {

struct ClipScaleSimd {
  double (*sum_of_squares)(const float* values, std::int64_t count);
};
AE_SIMD(ClipScaleSimd, clip_scale_simd)

}  // namespace ae::cpu
