#pragma once

#include <cstdint>

#include "cpu/instruction_set.hpp"
#include "cpu/tile.hpp"
#include "formulas/philox.hpp"

namespace ae::cpu {

/// Rows of a Gaussian code h = [μ | λ], whose first normal number is number `first` of the stream.
struct GaussianTile {
  ConstTile h;
  RandomStream stream;
  std::int64_t first;
};

/// GaussianBackward for such rows; everything is contiguous.
struct GaussianGradientTile {
  GaussianTile code;
  const float* dz;
  float weight;                  ///< of the divergence
  float free_bits;               ///< of a column's divergence, summed over the whole batch
  const float* divergence_sums;  ///< of the columns over the whole batch; null where none are free
  float* dh;
  float* column_sums;  ///< of dh over these rows, overwritten
};

struct GaussianSimd {
  /// column_sums = Σ over the tile's rows of the divergence of a Gaussian code h.
  void (*sum_divergences)(const ConstTile& h, float* column_sums);

  /// z, contiguous, is drawn from the code, or its means; per row r, the divergence goes to kl[r],
  /// unless kl is null.
  void (*sample)(const GaussianTile& code, bool mean_only, float* z, double* kl);

  /// Per row r, the divergence goes to kl[r].
  void (*gradient)(const GaussianGradientTile& tile, double* kl);
};
AE_SIMD(GaussianSimd, gaussian_simd)

}  // namespace ae::cpu
