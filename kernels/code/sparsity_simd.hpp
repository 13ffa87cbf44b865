#pragma once

#include "ae/activation.hpp"

#include "cpu/instruction_set.hpp"
#include "cpu/tile.hpp"
#include "formulas/sparsity.hpp"

namespace ae::cpu {

/// SparsityBackward for some rows of a batch, all columns.
struct SparsityTile {
  Activation activation = Activation::identity;
  sparsity::Rates rates{};
  ConstTile y{};
  const float* saved = nullptr;  ///< laid out like y, which it is unless the slope needs z
  const float* activation_sums =
      nullptr;                   ///< of y's columns over the whole batch; null where kl is 0
  float* dz = nullptr;           ///< holds dy; laid out like y
  float* column_sums = nullptr;  ///< of dz over these rows, overwritten
};

struct SparsitySimd {
  /// column_sums = Σ over the tile's rows of y.
  void (*sum_activations)(const ConstTile& y, float* column_sums);

  /// Per row r, what its values cost goes to row_penalties[r]; what the columns cost the whole
  /// batch goes to *column_penalty, unless that is null.
  void (*gradient)(const SparsityTile& tile, double* row_penalties, double* column_penalty);
};
AE_SIMD(SparsitySimd, sparsity_simd)

}  // namespace ae::cpu
