#pragma once

#include <cstdint>

#include "cpu/instruction_set.hpp"
#include "cpu/tile.hpp"

namespace ae::cpu {

inline constexpr std::int64_t kSparseUnits = 16;

struct SparseProductSimd {
  /// y = x·W and dW = xᵀ·dz, skipping the zeros of x. W, y and dz are `units` wide and contiguous;
  /// `units` is a multiple of kSparseUnits. In the second, the tile x and dW cover the same inputs.
  void (*forward)(const ConstTile& x, const float* w, std::int64_t units, float* y);
  void (*weight_gradient)(const ConstTile& x, const float* dz, std::int64_t units, float* dw);
};
AE_SIMD(SparseProductSimd, sparse_product_simd)

}  // namespace ae::cpu
