// dz = (dy + the penalties' gradients) ⊙ f'(z), in place, y (rows, cols) the code; its column sums,
// and what the penalties cost. See ae::SparsityBackward and sparsity.hpp. Launch and layout:
// column_sums.cuh; a column's own penalty, known from the sum of its activations, is counted by the
// first warp of the first block that crosses it.
//
// Traffic: 12 bytes an element, 8 read and 4 written.
// 4 more are read where the slope needs z. Besides, a column has 8 of partial sums for each block
// that crosses it, 4 of sums, and 4 a block of its activations' sum; a block has 16 of penalty.

#include "activations.hpp"
#include "column_sums.cuh"
#include "kernels.hpp"
#include "loss_sum.cuh"
#include "pack.cuh"
#include "sparsity.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

template <typename Formula, int kWidth>
__global__ void __launch_bounds__(kColumnSumThreads)
    sparsity_gradient_kernel(SparsityArguments arguments, sparsity::Rates rates, std::int64_t rows,
                             std::int64_t cols, ColumnSumScratch scratch) {
  const std::int64_t first_col = (std::int64_t{blockIdx.x} * 32 + threadIdx.x) * kWidth;
  const bool counts_columns = blockIdx.y == 0 && threadIdx.y == 0 && rows > 0;
  double of_columns = 0;
  Pack<kWidth> of_mean{};
  if (arguments.activation_sums != nullptr && first_col < cols) {
    const Pack<kWidth> sums = load_pack<kWidth>(arguments.activation_sums + first_col);
    AE_UNROLL
    for (int i = 0; i < kWidth; ++i) {
      const float mean = sparsity::mean_activation(sums.value[i], rates);
      of_mean.value[i] = sparsity::mean_gradient(mean, rates);
      if (counts_columns) {
        of_columns += static_cast<double>(sparsity::divergence(rates.rho, mean));
      }
    }
  }

  float size = 0.0F;
  sum_columns<kWidth>(
      rows, cols, scratch, arguments.dbias, [&](std::int64_t row, std::int64_t col, float* sum) {
        const std::int64_t at = row * cols + col;
        const Pack<kWidth> y = load_pack<kWidth>(arguments.y + at);
        Pack<kWidth> saved = y;
        if constexpr (Formula::kSlopeFromInput) {
          saved = load_pack<kWidth>(arguments.saved + at);
        }
        Pack<kWidth> gradient = load_pack<kWidth>(arguments.dy + at);
        AE_UNROLL
        for (int i = 0; i < kWidth; ++i) {
          gradient.value[i] =
              sparsity::gradient(y.value[i], gradient.value[i], Formula::slope(saved.value[i]),
                                 of_mean.value[i], rates);
          sum[i] += gradient.value[i];
          size += fabsf(y.value[i]);
        }
        store_pack<kWidth>(arguments.dy + at, gradient);
      });
  add_to_loss(static_cast<double>(rates.l1 * size) + rates.kl * of_columns, scratch,
              arguments.penalty_sum);
}

}  // namespace

void sparsity_gradient(const SparsityArguments& arguments, std::int64_t rows, std::int64_t cols,
                       const ColumnSumScratch& scratch, Stream stream) {
  if (cols == 0) return;
  const sparsity::Rates rates =
      sparsity::rates_of(arguments.sparsity, arguments.kept_largest, rows);
  for_activation(arguments.activation, [&]<typename Formula>() {
    if (packs_of_four(cols, arguments.y, arguments.saved, arguments.dy, arguments.activation_sums,
                      arguments.dbias, scratch.columns)) {
      AE_LAUNCH((sparsity_gradient_kernel<Formula, 4>), column_sum_shape(rows, cols, 4), stream,
                arguments, rates, rows, cols, scratch);
    } else {
      AE_LAUNCH((sparsity_gradient_kernel<Formula, 1>), column_sum_shape(rows, cols, 1), stream,
                arguments, rates, rows, cols, scratch);
    }
  });
}

}  // namespace ae::AE_DEVICE_NAMESPACE
