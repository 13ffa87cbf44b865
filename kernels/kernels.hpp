#pragma once

#include <cstdint>

#include "ae/activation.hpp"
#include "ae/loss.hpp"
#include "ae/noise.hpp"
#include "ae/optimizer.hpp"
#include "ae/sparsity.hpp"

#include "common/launch.hpp"
#include "convolution/geometry.hpp"

/// Every kernel's launcher, one kernel a file. A launcher returns on empty input and
/// puts its kernel on the stream; it checks nothing, that is its callers' part. Pointers are of
/// device memory. Matrices are row-major and contiguous, (rows, cols).
///
/// Where biases repeat along a row, `channels` is their number; 0 is one a column.
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
                     std::int64_t rows, std::int64_t cols, Stream stream,
                     std::int64_t channels = 0);

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
                         Stream stream, std::int64_t channels = 0);

/// See ae::ReconstructionLoss.
struct LossArguments {
  Loss loss = Loss::bce;
  Activation activation = Activation::sigmoid;
  const float* z = nullptr;
  const float* bias = nullptr;
  std::int64_t channels = 0;
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
                Stream stream, std::int64_t channels = 0);

/// y = convolution(x, W), no bias, in either direction: towards the map, x are images and y maps;
/// towards the image, the other way round.
void convolve(const Convolution& convolution, Towards towards, const float* x, const float* w,
              float* y, std::int64_t batch, Stream stream);

/// dW[ky, kx, c, o] = Σ over batch, oy, ox of images[…, oy·stride + ky - top, …, c]·maps[oy, ox,
/// o]: the gradient both ways, with x and dz for images and maps, or transposed, dz and x.
void convolution_weights(const Convolution& convolution, const float* images, const float* maps,
                         float* dw, std::int64_t batch, const ColumnSumScratch& scratch,
                         Stream stream);
ColumnSumScratchSizes convolution_weights_scratch(const Convolution& convolution,
                                                  std::int64_t batch);

/// See ae::MaxPoolForward and ae::MaxPoolBackward.
void max_pool(const ImageShape& input, std::int64_t size, const float* x, float* y,
              std::int64_t batch, Stream stream);
void max_pool_gradient(const ImageShape& input, std::int64_t size, const float* x, const float* dy,
                       float* dx, std::int64_t batch, Stream stream);

/// See ae::UpsampleForward and ae::UpsampleBackward.
void upsample(const ImageShape& input, std::int64_t factor, const float* x, float* y,
              std::int64_t batch, Stream stream);
void upsample_gradient(const ImageShape& input, std::int64_t factor, const float* dy, float* dx,
                       std::int64_t batch, Stream stream);

/// to (cols, rows) = fromᵀ of (rows, cols), or where `add`, to += fromᵀ; see ae::Transpose.
void transpose(const float* from, std::int64_t rows, std::int64_t cols, float* to, bool add,
               Stream stream);

/// Where random numbers come from: the stream of `seed` that the step pointed to has, null for
/// stream 0, from number `first` on.
struct RandomAddress {
  std::uint64_t seed = 0;
  const std::int64_t* step = nullptr;
  std::int64_t first = 0;
};

/// See ae::CorruptBatch.
void corrupt(const NoiseOptions& noise, const RandomAddress& random, const float* clean,
             float* noisy, std::int64_t count, Stream stream);

/// See ae::KeepLargest.
void keep_largest(std::int64_t k, float* y, std::int64_t rows, std::int64_t cols, Stream stream);

/// What dropout makes of `count` values or of their gradients, see ae::DropoutMask.
void drop(float rate, const RandomAddress& random, std::uint32_t layer, const float* from,
          float* to, std::int64_t count, Stream stream);

/// See ae::LayerNormForward; x is (groups, channels). `statistics` may be null.
struct LayerNormArguments {
  Activation activation = Activation::identity;
  const float* x = nullptr;
  const float* gamma = nullptr;
  const float* beta = nullptr;
  float* y = nullptr;
  float* statistics = nullptr;
};
void layer_norm(const LayerNormArguments& arguments, std::int64_t groups, std::int64_t channels,
                Stream stream);

/// What ae::BatchNormForward learns of a batch x (groups, channels): statistics = [μ | σ²] of its
/// columns, and what the running ones become.
void batch_statistics(const float* x, float* statistics, float* running, std::int64_t groups,
                      std::int64_t channels, const ColumnSumScratch& scratch, Stream stream);

/// See ae::BatchNormForward, by given statistics [μ | σ²]; x is (groups, channels).
struct BatchNormArguments {
  Activation activation = Activation::identity;
  const float* x = nullptr;
  const float* gamma = nullptr;
  const float* beta = nullptr;
  const float* statistics = nullptr;
  float* y = nullptr;
};
void batch_norm(const BatchNormArguments& arguments, std::int64_t groups, std::int64_t channels,
                Stream stream);

/// The part that the backward passes of both have in common: dy becomes dz, and the sums.
struct NormGradientArguments {
  Activation activation = Activation::identity;
  bool of_channels = false;  ///< whether statistics are batch_norm's, of channels
  const float* x = nullptr;
  const float* gamma = nullptr;
  const float* beta = nullptr;
  const float* statistics = nullptr;
  const float* y = nullptr;
  float* dy = nullptr;
  float* dgamma = nullptr;
  float* dbeta = nullptr;
};
void norm_gradient(const NormGradientArguments& arguments, std::int64_t groups,
                   std::int64_t channels, const ColumnSumScratch& scratch, Stream stream);
/// How much scratch it and batch_statistics() need: two sums a column.
ColumnSumScratchSizes norm_scratch(std::int64_t groups, std::int64_t channels);

/// And the part that each has to itself: dx, given dz.
struct InputGradientArguments {
  const float* x = nullptr;
  const float* gamma = nullptr;
  const float* statistics = nullptr;
  const float* dz = nullptr;
  float* dx = nullptr;
};
void layer_norm_gradient(const InputGradientArguments& arguments, std::int64_t groups,
                         std::int64_t channels, Stream stream);
void batch_norm_gradient(const InputGradientArguments& arguments, const float* dgamma,
                         const float* dbeta, std::int64_t groups, std::int64_t channels,
                         Stream stream);

/// sums[c] = Σ over rows of y[:, c].
void sum_activations(const float* y, std::int64_t rows, std::int64_t cols, float* sums,
                     const ColumnSumScratch& scratch, Stream stream);

/// sums[c] = Σ over rows of the divergence of column c of a Gaussian code h (rows, 2·latent).
void sum_divergences(const float* h, std::int64_t rows, std::int64_t latent, float* sums,
                     const ColumnSumScratch& scratch, Stream stream);

/// See ae::SparsityBackward.
struct SparsityArguments {
  SparsityOptions sparsity;
  bool kept_largest = false;
  Activation activation = Activation::identity;
  const float* y = nullptr;
  const float* saved = nullptr;            ///< y, or z where the slope needs that
  const float* activation_sums = nullptr;  ///< of y's columns; null where sparsity.kl is 0
  float* dy = nullptr;
  float* dbias = nullptr;
  double* penalty_sum = nullptr;
};
void sparsity_gradient(const SparsityArguments& arguments, std::int64_t rows, std::int64_t cols,
                       const ColumnSumScratch& scratch, Stream stream);

/// See ae::GaussianSample.
struct GaussianSampleArguments {
  const float* h = nullptr;
  RandomAddress random;
  bool mean_only = false;
  float* z = nullptr;
  double* kl = nullptr;
};
void gaussian_sample(const GaussianSampleArguments& arguments, std::int64_t rows,
                     std::int64_t latent, Stream stream);

/// See ae::GaussianBackward.
struct GaussianGradientArguments {
  const float* h = nullptr;
  const float* dz = nullptr;
  RandomAddress random;
  float kl_scale = 1;
  std::int64_t warm_up_steps = 0;
  float free_bits = 0;
  const float* divergence_sums = nullptr;  ///< of h's columns; null where free_bits is 0
  float* dh = nullptr;
  float* dbias = nullptr;
  double* kl_sum = nullptr;
};
void gaussian_gradient(const GaussianGradientArguments& arguments, std::int64_t rows,
                       std::int64_t latent, const ColumnSumScratch& scratch, Stream stream);

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
