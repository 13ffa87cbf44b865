#pragma once

#include "ae/activation.hpp"

#include "cpu/tile.hpp"

namespace ae::cpu {

/// What LayerNormForward or BatchNormForward normalises of some rows of a batch: x, seen as
/// contiguous groups of `cols` channels.
struct NormTile {
  Activation activation;
  ConstTile x;
  const float* gamma;
  const float* beta;
  const float* statistics;  ///< in the forward pass of batch_norm and in the backward passes
};

/// Its backward pass; everything is laid out like x.
struct NormGradientTile {
  NormTile norm;
  const float* y;
  float* dz;      ///< holds dy
  float* dgamma;  ///< sums over these groups, overwritten
  float* dbeta;
};

}  // namespace ae::cpu
