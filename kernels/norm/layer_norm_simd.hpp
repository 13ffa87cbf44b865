#pragma once

#include "cpu/instruction_set.hpp"
#include "norm/norm_tile.hpp"

namespace ae::cpu {

struct LayerNormSimd {
  /// y, and per group what it was normalised by, to `statistics` unless that is null.
  void (*forward)(const NormTile& tile, float* y, float* statistics);

  /// dz and its sums, and dx unless that is null.
  void (*backward)(const NormGradientTile& tile, float* dx);
};
AE_SIMD(LayerNormSimd, layer_norm_simd)

}  // namespace ae::cpu
