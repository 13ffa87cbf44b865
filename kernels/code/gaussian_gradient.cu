// dh = [dμ | dλ] of a draw from h = [μ | λ], (rows, 2·latent), given dz (rows, latent); the column
// sums of dh, and the divergence of the batch. See ae::GaussianBackward and gaussian.hpp. Launch
// and layout: column_sums.cuh over the columns of dh, one a lane, as codes are narrow. ε is made
// again, which costs less than to keep it.
//
// Traffic: 12 bytes a value of dh, 8 read and 4 written.
// Besides, a column has 8 of partial sums for each block that crosses it, 4 of sums, and 4 a block
// of its divergences' sum where that decides; a block has 16 of divergence.

#include "common/column_sums.cuh"
#include "common/loss_sum.cuh"
#include "formulas/gaussian.hpp"
#include "formulas/normal.hpp"
#include "kernels.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

__global__ void __launch_bounds__(kColumnSumThreads)
    gaussian_gradient_kernel(GaussianGradientArguments arguments, std::int64_t rows,
                             std::int64_t latent, ColumnSumScratch scratch) {
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

void gaussian_gradient(const GaussianGradientArguments& arguments, std::int64_t rows,
                       std::int64_t latent, const ColumnSumScratch& scratch, Stream stream) {
  if (latent == 0) return;
  AE_LAUNCH(gaussian_gradient_kernel, column_sum_shape(rows, 2 * latent, 1), stream, arguments,
            rows, latent, scratch);
}

}  // namespace ae::AE_DEVICE_NAMESPACE
