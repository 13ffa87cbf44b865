#pragma once

#include <cstdint>
#include <span>

#include "ae/activation.hpp"
#include "ae/loss.hpp"
#include "ae/noise.hpp"
#include "ae/optimizer.hpp"
#include "ae/sparsity.hpp"

#include "device/cpu/image_kernels.hpp"
#include "formulas/optimizers.hpp"
#include "formulas/philox.hpp"
#include "formulas/sparsity.hpp"

namespace ae::cpu {

/// A rectangle within a row-major matrix, `stride` floats from row to row.
struct Tile {
  float* data;
  std::int64_t rows;
  std::int64_t cols;
  std::int64_t stride;
};

struct ConstTile {
  const float* data;
  std::int64_t rows;
  std::int64_t cols;
  std::int64_t stride;
};

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

/// SparsityBackward for some rows of a batch, all columns.
struct SparsityTile {
  Activation activation;
  sparsity::Rates rates;
  ConstTile y;
  const float* saved;            ///< laid out like y, which it is unless the slope needs z
  const float* activation_sums;  ///< of y's columns over the whole batch; null where kl is 0
  float* dz;                     ///< holds dy; laid out like y
  float* column_sums;            ///< of dz over these rows, overwritten
};

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

/// OptimizerStep for some of the parameters.
struct OptimizerStretch {
  Optimizer optimizer;
  optimizers::StepRates rates;
  std::int64_t count;
  float* parameters;
  const float* gradients;
  float* first;
  float* second;
  const float* gradient_scale;
  float* average;
  float average_decay;
};

/// The loops that oneDNN has no part in, compiled once per instruction set from vector_kernels.cpp
/// and chosen when the program starts. Each works on the calling thread, on the share it is given.
struct VectorKernels {
  const char* instruction_set;

  /// to[i] = from[i] / 255.
  void (*convert_bytes)(const std::uint8_t* from, float* to, std::int64_t count);

  /// y = f(z), z = y + bias, in place; bias may be null. Where the activation's slope needs z, it
  /// is also written to `z`, laid out like y, unless that is null.
  void (*bias_activation)(Activation activation, const float* bias, const Tile& y, float* z);

  /// dx = dx ⊙ f'(z), in place; column_sums = Σ over the tile's rows of dx. `saved` is y = f(z), or
  /// z where the slope needs that.
  void (*activation_gradient)(Activation activation, const ConstTile& saved, const Tile& dx,
                              float* column_sums);

  /// Per row r, the row's loss goes to row_losses[r].
  void (*loss)(const LossTile& tile, double* row_losses);

  /// noisy[i] = clean[i] with noise, value i being number first + i of the stream.
  void (*corrupt)(const NoiseOptions& noise, const RandomStream& stream, std::int64_t first,
                  const float* clean, float* noisy, std::int64_t count);

  /// See KeepLargest; k < y.cols.
  void (*keep_largest)(std::int64_t k, const Tile& y);

  /// What dropout makes of `count` values or of their gradients, the first being number `first` of
  /// the stream; see DropoutMask.
  void (*drop)(float rate, const RandomStream& stream, std::int64_t first, const float* from,
               float* to, std::int64_t count);

  /// y, and per group what it was normalised by, to `statistics` unless that is null.
  void (*layer_norm)(const NormTile& tile, float* y, float* statistics);

  /// dz and its sums, and dx unless that is null.
  void (*layer_norm_gradient)(const NormGradientTile& tile, float* dx);

  /// moments = [μ | Σ (x - μ)²] of the tile's columns; it has a row at least.
  void (*moments)(const ConstTile& x, float* moments);

  void (*batch_norm)(const NormTile& tile, float* y);

  /// dz and its sums.
  void (*batch_norm_gradient)(const NormGradientTile& tile);

  /// dx, given dz, and dγ and dβ of the whole batch, which has `count` groups.
  void (*batch_norm_input_gradient)(const NormTile& tile, const float* dgamma, const float* dbeta,
                                    float count, const float* dz, float* dx);

  /// column_sums = Σ over the tile's rows of y, or of the divergence of a Gaussian code h.
  void (*sum_activations)(const ConstTile& y, float* column_sums);
  void (*sum_divergences)(const ConstTile& h, float* column_sums);

  /// Per row r, what its values cost goes to row_penalties[r]; what the columns cost the whole
  /// batch goes to *column_penalty, unless that is null.
  void (*sparsity_gradient)(const SparsityTile& tile, double* row_penalties,
                            double* column_penalty);

  /// z, contiguous, is drawn from the code, or its means; per row r, the divergence goes to kl[r],
  /// unless kl is null.
  void (*gaussian_sample)(const GaussianTile& code, bool mean_only, float* z, double* kl);

  /// Per row r, the divergence goes to kl[r].
  void (*gaussian_gradient)(const GaussianGradientTile& tile, double* kl);

  double (*sum_of_squares)(const float* values, std::int64_t count);

  void (*optimize)(const OptimizerStretch& stretch);

  /// to[c, r] = from[r, c], or has it added, the rows of `to` to_stride apart.
  void (*transpose)(const ConstTile& from, bool add, float* to, std::int64_t to_stride);

  /// y = x·W and dW = xᵀ·dz, skipping the zeros of x. W, y and dz are `units` wide and contiguous;
  /// `units` is a multiple of kSparseUnits. In the second, the tile x and dW cover the same inputs.
  void (*sparse_forward)(const ConstTile& x, const float* w, std::int64_t units, float* y);
  void (*sparse_weight_gradient)(const ConstTile& x, const float* dz, std::int64_t units,
                                 float* dw);

  const ImageKernels* images;
};

inline constexpr std::int64_t kSparseUnits = 16;

/// Every instruction set this machine can run, best first; never empty.
std::span<const VectorKernels* const> usable_vector_kernels();

/// The best one, or the one that the environment variable AE_ISA names ("baseline", "avx2",
/// "avx512"). @throws UsageError if AE_ISA names one that this machine or build lacks.
const VectorKernels& select_vector_kernels();

}  // namespace ae::cpu
