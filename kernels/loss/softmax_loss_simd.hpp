#pragma once

#include <cstdint>

#include "cpu/instruction_set.hpp"

namespace ae::cpu {

/// SoftmaxLoss for some rows of a batch; everything is contiguous.
struct SoftmaxTile {
  const float* z;
  const float* bias;
  const std::int32_t* classes;
  std::int64_t rows;
  std::int64_t pixels;  ///< a row
  std::int64_t channels;
  float gradient_scale;
  float* dz;            ///< null for the loss alone
  float* channel_sums;  ///< of dz over these rows, overwritten; null if dz is
};

struct SoftmaxLossSimd {
  /// Per row r, the row's loss goes to row_losses[r].
  void (*loss)(const SoftmaxTile& tile, double* row_losses);
};
AE_SIMD(SoftmaxLossSimd, softmax_loss_simd)

}  // namespace ae::cpu
