// Compiled once for each instruction set, which AE_ISA names: see kernels/cpu/vector.hpp.

#include "code/gaussian_simd.hpp"

#include "cpu/draws.hpp"
#include "formulas/gaussian.hpp"

namespace ae::cpu::AE_ISA {

namespace {

void sum_divergences(const ConstTile& h, float* column_sums) {
  const std::int64_t latent = h.cols / 2;
  for (std::int64_t c = 0; c < latent; ++c) column_sums[c] = 0.0F;
  for (std::int64_t row = 0; row < h.rows; ++row) {
    const float* mu = h.data + row * h.stride;
    const float* lambda = mu + latent;
#pragma omp simd
    for (std::int64_t c = 0; c < latent; ++c) {
      column_sums[c] += gaussian::divergence(mu[c], lambda[c]);
    }
  }
}

/// Calls body(row, col, count, normals) for stretches of the code's rows: normals[i] belongs to
/// column col + i.
template <typename Body>
AE_HOST_DEVICE void for_normals(const GaussianTile& code, const Body& body) {
  const std::int64_t latent = code.h.cols / 2;
  for_draws<float>(code.stream, code.first, code.h.rows * latent,
                   [&](std::int64_t at, std::int64_t size, const float* normals) {
                     for (std::int64_t done = 0; done < size;) {
                       const std::int64_t row = (at + done) / latent;
                       const std::int64_t col = (at + done) % latent;
                       const std::int64_t count = smaller(latent - col, size - done);
                       body(row, col, count, normals + done);
                       done += count;
                     }
                   });
}

void divergences(const ConstTile& h, double* kl) {
  const std::int64_t latent = h.cols / 2;
  for (std::int64_t row = 0; row < h.rows; ++row) {
    const float* mu = h.data + row * h.stride;
    const float* lambda = mu + latent;
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t c = 0; c < latent; ++c) sum += gaussian::divergence(mu[c], lambda[c]);
    kl[row] = static_cast<double>(sum);
  }
}

void gaussian_sample(const GaussianTile& code, bool mean_only, float* z, double* kl) {
  const ConstTile& h = code.h;
  const std::int64_t latent = h.cols / 2;
  if (mean_only) {
    for (std::int64_t row = 0; row < h.rows; ++row) {
      for (std::int64_t c = 0; c < latent; ++c) z[row * latent + c] = h.data[row * h.stride + c];
    }
  } else {
    for_normals(code,
                [&](std::int64_t row, std::int64_t col, std::int64_t count, const float* normals) {
                  const float* mu = h.data + row * h.stride + col;
                  const float* lambda = mu + latent;
                  float* out = z + row * latent + col;
#pragma omp simd
                  for (std::int64_t i = 0; i < count; ++i) {
                    out[i] = gaussian::sample(mu[i], lambda[i], normals[i]);
                  }
                });
  }
  if (kl != nullptr) divergences(h, kl);
}

void gaussian_gradient(const GaussianGradientTile& tile, double* kl) {
  const ConstTile& h = tile.code.h;
  const std::int64_t latent = h.cols / 2;
  const float weight = tile.weight;
  for (std::int64_t c = 0; c < 2 * latent; ++c) tile.column_sums[c] = 0.0F;
  for_normals(tile.code, [&](std::int64_t row, std::int64_t col, std::int64_t count,
                             const float* normals) {
    const float* mu = h.data + row * h.stride + col;
    const float* lambda = mu + latent;
    const float* dz = tile.dz + row * latent + col;
    float* dmu = tile.dh + row * 2 * latent + col;
    float* dlambda = dmu + latent;
    float* mu_sums = tile.column_sums + col;
    float* lambda_sums = mu_sums + latent;
    float weights[kDraws];
    for (std::int64_t i = 0; i < count; ++i) weights[i] = weight;
    if (tile.divergence_sums != nullptr) {
      const float* sums = tile.divergence_sums + col;
#pragma omp simd
      for (std::int64_t i = 0; i < count; ++i) {
        weights[i] = sums[i] < tile.free_bits ? 0.0F : weight;
      }
    }
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) {
      const float of_mu = gaussian::mean_gradient(mu[i], dz[i], weights[i]);
      const float of_lambda = gaussian::variance_gradient(lambda[i], dz[i], normals[i], weights[i]);
      dmu[i] = of_mu;
      dlambda[i] = of_lambda;
      mu_sums[i] += of_mu;
      lambda_sums[i] += of_lambda;
    }
  });
  divergences(h, kl);
}

}  // namespace

const GaussianSimd gaussian_simd{sum_divergences, gaussian_sample, gaussian_gradient};

}  // namespace ae::cpu::AE_ISA
