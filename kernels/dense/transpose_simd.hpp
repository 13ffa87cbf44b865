#pragma once

#include <cstdint>

#include "cpu/instruction_set.hpp"
#include "cpu/tile.hpp"

namespace ae::cpu {

struct TransposeSimd {
  /// to[c, r] = from[r, c], or has it added, the rows of `to` to_stride apart.
  void (*transpose)(const ConstTile& from, bool add, float* to, std::int64_t to_stride);
};
AE_SIMD(TransposeSimd, transpose_simd)

}  // namespace ae::cpu
