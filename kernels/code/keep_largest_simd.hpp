#pragma once

#include <cstdint>

#include "cpu/instruction_set.hpp"
#include "cpu/tile.hpp"

namespace ae::cpu {

struct KeepLargestSimd {
  /// See KeepLargest; k < y.cols.
  void (*keep_largest)(std::int64_t k, const Tile& y);
};
AE_SIMD(KeepLargestSimd, keep_largest_simd)

}  // namespace ae::cpu
