#pragma once

#include "cpu/instruction_set.hpp"
#include "norm/norm_tile.hpp"

namespace ae::cpu {

struct BatchNormSimd {
  /// moments = [μ | Σ (x - μ)²] of the tile's columns; it has a row at least.
  void (*moments)(const ConstTile& x, float* moments);

  void (*forward)(const NormTile& tile, float* y);

  /// dz and its sums.
  void (*gradient)(const NormGradientTile& tile);

  /// dx, given dz, and dγ and dβ of the whole batch, which has `count` groups.
  void (*input_gradient)(const NormTile& tile, const float* dgamma, const float* dbeta, float count,
                         const float* dz, float* dx);
};
AE_SIMD(BatchNormSimd, batch_norm_simd)

}  // namespace ae::cpu
