#pragma once

#include <cstdint>

#include "ae/model.hpp"
#include "ae/train.hpp"

#include "launch.hpp"

/// Every kernel's launcher, one kernel a file. A launcher checks what it can, returns on empty
/// input and puts its kernel on the stream; pointers are of device memory. Matrices are row-major
/// and contiguous, (rows, cols).
///
/// Sums have a fixed order everywhere: per thread, per warp, per block, and at last one block over
/// all blocks' partial sums. No floating-point atomics: the same input gives the same bits.
namespace ae::AE_DEVICE_NAMESPACE {

/// Where a gather takes its rows from: bytes (value / 255) or floats, one of them null.
struct GatherSource {
  const std::uint8_t* bytes = nullptr;
  const float* floats = nullptr;
};

/// Which rows: with a permutation, those of the current step's batch (see ae::GatherBatch);
/// without, consecutive ones from `first_row` on.
struct GatherRowsChosen {
  const std::int32_t* permutation = nullptr;
  const std::int64_t* step = nullptr;
  std::int64_t steps_per_epoch = 1;
  std::int64_t batch_size = 0;
  std::int64_t first_row = 0;
};

/// x[i, :] = source[row(i), :], converted.
void gather(const GatherSource& source, const GatherRowsChosen& chosen, float* x, std::int64_t rows,
            std::int64_t cols, Stream stream);

/// y = f(z), z = y + bias, in place; bias may be null. Where the activation's slope needs z, it is
/// also written to `z` (rows, cols) unless that is null.
void bias_activation(Activation activation, const float* bias, float* y, float* z,
                     std::int64_t rows, std::int64_t cols, Stream stream);

/// Scratch of the kernels that sum over the whole batch: partial sums of their blocks, and counters
/// that tell a block that it is the last one, zero between launches.
struct ColumnSumScratch {
  float* columns = nullptr;
  double* losses = nullptr;  ///< only the loss uses it
  unsigned* counters = nullptr;
};

/// How much of each a launch for (rows, cols) needs.
struct ColumnSumScratchSizes {
  std::int64_t columns;
  std::int64_t losses;
  std::int64_t counters;
};
ColumnSumScratchSizes column_sum_scratch(std::int64_t rows, std::int64_t cols);

/// dx = dx ⊙ f'(z), in place; sums[c] = Σ over rows of dx[:, c]. `saved` is y = f(z), or z where
/// the slope needs that (slope_from_input).
void activation_gradient(Activation activation, const float* saved, float* dx, std::int64_t rows,
                         std::int64_t cols, float* sums, const ColumnSumScratch& scratch,
                         Stream stream);

/// See ae::ReconstructionLoss.
struct LossArguments {
  Loss loss = Loss::bce;
  Activation activation = Activation::sigmoid;
  const float* z = nullptr;
  const float* bias = nullptr;
  const float* target = nullptr;
  float gradient_scale = 1;
  float* dz = nullptr;
  float* dbias = nullptr;
  double* loss_sum = nullptr;
};
void reconstruction_loss(const LossArguments& arguments, std::int64_t rows, std::int64_t cols,
                         const ColumnSumScratch& scratch, Stream stream);

/// See ae::RowLosses.
void row_losses(Loss loss, Activation activation, const float* z, const float* bias,
                const float* target, double* sums, std::int64_t rows, std::int64_t cols,
                Stream stream);

/// See ae::ClipScale. `partials` has clip_scale_partials(count) numbers; `counter` is one word,
/// zero between launches.
std::int64_t clip_scale_partials(std::int64_t count);
void clip_scale(const float* gradients, std::int64_t count, float max_norm, float* scale,
                double* partials, unsigned* counter, Stream stream);

/// See ae::OptimizerStep. `counter` is one word, zero between launches.
struct OptimizerArguments {
  OptimizerOptions options;
  float* parameters = nullptr;
  const float* gradients = nullptr;
  float* first = nullptr;
  float* second = nullptr;
  std::int64_t* step = nullptr;
  const float* learning_rates = nullptr;
  std::int64_t steps_per_epoch = 1;
  const float* gradient_scale = nullptr;
  float* average = nullptr;
  float average_decay = 0;
  unsigned* counter = nullptr;
};
void optimizer(const OptimizerArguments& arguments, std::int64_t count, Stream stream);

/// C = op(A)·op(B), row-major: op(A) is (m, k), op(B) (k, n). A plain tiled product: what runs
/// where there is no cuBLAS, and the second opinion where there is.
void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
          const float* a, const float* b, float* c, Stream stream);

}  // namespace ae::AE_DEVICE_NAMESPACE
