// sums[c] = Σ over rows of what a code's column c is judged by as a whole, before any gradient of
// it can be had: its activations y, or its divergence from the standard normal. Launch and layout:
// column_sums.cuh, one column a lane, as codes are narrow.
//
// Traffic: 4 bytes an activation, or 8 for the mean and the variance of one, all read.
// Besides, a column has 8 of partial sums for each block that crosses it, and 4 of sums.

#include "code/code_statistics.hpp"
#include "common/column_sums.cuh"
#include "formulas/gaussian.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

struct Activations {
  const float* y;
  std::int64_t cols;
  __device__ float at(std::int64_t row, std::int64_t col) const { return y[row * cols + col]; }
};

struct Divergences {
  const float* h;
  std::int64_t latent;
  __device__ float at(std::int64_t row, std::int64_t col) const {
    const float* mu = h + row * 2 * latent + col;
    return gaussian::divergence(mu[0], mu[latent]);
  }
};

template <typename Statistic>
__global__ void __launch_bounds__(kColumnSumThreads)
    code_statistics_kernel(Statistic statistic, std::int64_t rows, std::int64_t cols, float* sums,
                           Scratch scratch) {
  sum_columns<1>(rows, cols, scratch, sums, [&](std::int64_t row, std::int64_t col, float* sum) {
    *sum += statistic.at(row, col);
  });
}

}  // namespace

void sum_activations(const float* y, std::int64_t rows, std::int64_t cols, float* sums,
                     const Scratch& scratch, LaunchContext& context) {
  if (cols == 0) return;
  AE_LAUNCH(code_statistics_kernel<Activations>, column_sum_shape(rows, cols, 1), context,
            Activations{y, cols}, rows, cols, sums, scratch);
}

void sum_divergences(const float* h, std::int64_t rows, std::int64_t latent, float* sums,
                     const Scratch& scratch, LaunchContext& context) {
  if (latent == 0) return;
  AE_LAUNCH(code_statistics_kernel<Divergences>, column_sum_shape(rows, latent, 1), context,
            Divergences{h, latent}, rows, latent, sums, scratch);
}

}  // namespace ae::AE_DEVICE_NAMESPACE
