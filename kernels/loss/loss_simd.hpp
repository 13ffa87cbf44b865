#pragma once

#include "ae/activation.hpp"
#include "ae/loss.hpp"

#include "cpu/instruction_set.hpp"
#include "cpu/tile.hpp"

namespace ae::cpu {

/// ReconstructionLoss for some rows of a batch, all columns.
struct LossTile {
  Loss loss;
  Activation activation;
  ConstTile z;
  const float* bias;
  const float* target;  ///< contiguous, as wide as z
  float gradient_scale;
  float* dz;           ///< laid out like z, or null for the loss alone
  float* column_sums;  ///< of dz over these rows, overwritten; null if dz is
};

struct LossSimd {
  /// Per row r, the row's loss goes to row_losses[r].
  void (*loss)(const LossTile& tile, double* row_losses);
};
AE_SIMD(LossSimd, loss_simd)

}  // namespace ae::cpu
