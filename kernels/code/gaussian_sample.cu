// z = μ + e^(λ/2)·ε for h = [μ | λ], h (rows, 2·latent), z (rows, latent), or z = μ; and each row's
// divergence from the standard normal, if asked for. See ae::GaussianSample and gaussian.hpp.
//
// A warp a row, its lanes along the columns. Each lane makes its own normal number, and so a Philox
// block for each: three quarters of that is thrown away, and saves shuffling in a code that is no
// more than some columns wide.
//
// Traffic: 12 bytes a value of z, 8 read and 4 written.
// Besides, 8 are written a row where the divergence is asked for.

#include "code/gaussian.hpp"
#include "common/launch_context.hpp"
#include "common/random_address.hpp"
#include "common/reduce.cuh"
#include "formulas/gaussian.hpp"
#include "formulas/normal.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

constexpr int kWarps = 4;
constexpr int kMostBlocks = 4096;

struct Arguments {
  const float* h;
  RandomAddress random;
  bool mean_only;
  float* z;
  double* kl;
};

__global__ void __launch_bounds__(32 * kWarps)
    gaussian_sample_kernel(Arguments arguments, std::int64_t rows, std::int64_t latent) {
  const RandomStream stream =
      stream_of_step(arguments.random.seed, RandomPurpose::code, arguments.random.step);
  const std::int64_t stride = std::int64_t{gridDim.x} * kWarps;
  for (std::int64_t row = std::int64_t{blockIdx.x} * kWarps + threadIdx.y; row < rows;
       row += stride) {
    const float* mu = arguments.h + row * 2 * latent;
    float* z = arguments.z + row * latent;
    float divergence = 0.0F;
    for (std::int64_t c = threadIdx.x; c < latent; c += 32) {
      if (arguments.mean_only) {
        z[c] = mu[c];
      } else {
        const std::int64_t number = arguments.random.first + row * latent + c;
        z[c] = gaussian::sample(mu[c], mu[latent + c],
                                normal_at(stream, static_cast<std::uint64_t>(number)));
      }
      if (arguments.kl != nullptr) divergence += gaussian::divergence(mu[c], mu[latent + c]);
    }
    if (arguments.kl == nullptr) continue;
    const double sum = warp_sum(static_cast<double>(divergence));
    if (threadIdx.x == 0) arguments.kl[row] = sum;
  }
}

}  // namespace

void launch(const GaussianSample& op, LaunchContext& context) {
  const std::int64_t rows = op.z.rows;
  if (rows == 0) return;
  const Arguments arguments{.h = op.h.data,
                            .random = {op.seed, op.step.data, op.first_row * op.z.cols},
                            .mean_only = op.mean_only,
                            .z = op.z.data,
                            .kl = op.kl.data};
  const LaunchShape shape{blocks_for(rows, kWarps, kMostBlocks), dim3(32, kWarps)};
  AE_LAUNCH(gaussian_sample_kernel, shape, context, arguments, rows, op.z.cols);
}

}  // namespace ae::AE_DEVICE_NAMESPACE
