#pragma once

#include "cpu/instruction_set.hpp"
#include "cpu/tile.hpp"

namespace ae::cpu {

struct PreluSimd {
  /// y, laid out like x; a slope a column.
  void (*forward)(const ConstTile& x, const float* slopes, float* y);

  /// dx unless that is null, and column_sums = Σ over the tile's rows of what each value adds to
  /// the gradient of its slope; dy and dx are laid out like x.
  void (*backward)(const ConstTile& x, const float* slopes, const float* dy, float* dx,
                   float* column_sums);
};
AE_SIMD(PreluSimd, prelu_simd)

}  // namespace ae::cpu
