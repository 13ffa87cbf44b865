// dh = [dμ | dλ] of a draw from h = [μ | λ], (rows, 2·latent), given dz (rows, latent); the column
// sums of dh, and the divergence of the batch. See ae::GaussianBackward and gaussian.hpp. Launch
// and layout: column_sums.cuh over the columns of dh, one a lane, as codes are narrow. ε is made
// again, which costs less than to keep it.
//
// Traffic: 12 bytes a value of dh, 8 read and 4 written.
// Besides, a column has 8 of partial sums for each block that crosses it, 4 of sums, and 4 a block
// of its divergences' sum where that decides; a block has 16 of divergence.

#include "code/code_statistics.hpp"
#include "code/gaussian.hpp"
#include "common/column_sums.cuh"
#include "common/loss_sum.cuh"
#include "common/random_address.hpp"
#include "formulas/gaussian.hpp"
#include "formulas/normal.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

struct Arguments {
  const float* h;
  const float* dz;
  RandomAddress random;
  float kl_scale;
  std::int64_t warm_up_steps;
  float free_bits;
  const float* divergence_sums;  ///< of h's columns; null where free_bits is 0
  float* dh;
  float* dbias;
  double* kl_sum;
};

__global__ void __launch_bounds__(kColumnSumThreads)
    gaussian_gradient_kernel(Arguments arguments, std::int64_t rows, std::int64_t latent,
                             Scratch scratch) {
  const RandomStream stream =
      stream_of_step(arguments.random.seed, RandomPurpose::code, arguments.random.step);
  const std::int64_t cols = 2 * latent;
  const std::int64_t col = std::int64_t{blockIdx.x} * 32 + threadIdx.x;
  const std::int64_t unit = col < latent ? col : col - latent;
  float weight = gaussian::warmed_up(arguments.kl_scale,
                                     arguments.random.step == nullptr ? 0 : *arguments.random.step,
                                     arguments.warm_up_steps);
  if (arguments.divergence_sums != nullptr && col < cols) {
    const float mean = arguments.divergence_sums[unit] / static_cast<float>(rows);
    if (mean < arguments.free_bits) weight = 0.0F;
  }

  float divergence = 0.0F;
  sum_columns<1>(rows, cols, scratch, arguments.dbias,
                 [&](std::int64_t row, std::int64_t, float* sum) {
                   const float value = arguments.h[row * cols + col];
                   const float dz = arguments.dz[row * latent + unit];
                   float gradient = 0.0F;
                   if (col < latent) {
                     divergence += gaussian::divergence_of_mean(value);
                     gradient = gaussian::mean_gradient(value, dz, weight);
                   } else {
                     const std::int64_t number = arguments.random.first + row * latent + unit;
                     divergence += gaussian::divergence_of_variance(value);
                     gradient = gaussian::variance_gradient(
                         value, dz, normal_at(stream, static_cast<std::uint64_t>(number)), weight);
                   }
                   arguments.dh[row * cols + col] = gradient;
                   *sum += gradient;
                 });
  add_to_loss(static_cast<double>(divergence), scratch, arguments.kl_sum);
}

}  // namespace

void launch(const GaussianBackward& op, LaunchContext& context) {
  const std::int64_t rows = op.dz.rows;
  const std::int64_t latent = op.dz.cols;
  if (latent == 0) return;
  ScratchSizes sizes = column_sum_scratch(rows, 2 * latent);
  if (needs_means(op)) sizes.statistics = latent;
  const Scratch scratch = context.scratch(sizes);
  float* const sums = needs_means(op) ? scratch.statistics : nullptr;
  if (needs_means(op)) sum_divergences(op.h.data, rows, latent, sums, scratch, context);
  const Arguments arguments{.h = op.h.data,
                            .dz = op.dz.data,
                            .random = {op.seed, op.step.data},
                            .kl_scale = op.kl_scale,
                            .warm_up_steps = op.warm_up_steps,
                            .free_bits = op.free_bits,
                            .divergence_sums = sums,
                            .dh = op.dh.data,
                            .dbias = op.dbias.data,
                            .kl_sum = op.kl_sum.data};
  AE_LAUNCH(gaussian_gradient_kernel, column_sum_shape(rows, 2 * latent, 1), context, arguments,
            rows, latent, scratch);
}

}  // namespace ae::AE_DEVICE_NAMESPACE
