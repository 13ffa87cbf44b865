#pragma once

#include "ae/activation.hpp"

#include "cpu/instruction_set.hpp"
#include "cpu/tile.hpp"

namespace ae::cpu {

struct ActivationSimd {
  /// y = f(z), z = y + bias, in place; bias may be null. Where the activation's slope needs z, it
  /// is also written to `z`, laid out like y, unless that is null.
  void (*bias_activation)(Activation activation, const float* bias, const Tile& y, float* z);

  /// dx = dx ⊙ f'(z), in place; column_sums = Σ over the tile's rows of dx. `saved` is y = f(z), or
  /// z where the slope needs that.
  void (*gradient)(Activation activation, const ConstTile& saved, const Tile& dx,
                   float* column_sums);
};
AE_SIMD(ActivationSimd, activation_simd)

}  // namespace ae::cpu
