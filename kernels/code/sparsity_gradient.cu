// dz = (dy + the penalties' gradients) ⊙ f'(z), in place, y (rows, cols) the code; its column sums,
// and what the penalties cost. See ae::SparsityBackward and sparsity.hpp. Launch and layout:
// column_sums.cuh, one column a lane, as codes are narrow; a column's own penalty, known from the
// sum of its activations, is counted by the first warp of the first block that crosses it.
//
// Traffic: 12 bytes an element, 8 read and 4 written.
// 4 more are read where the slope needs z. Besides, a column has 8 of partial sums for each block
// that crosses it, 4 of sums, and 4 a warp of its activations' sum; a block has 16 of penalty.

#include "code/code_statistics.hpp"
#include "code/sparsity.hpp"
#include "common/column_sums.cuh"
#include "common/loss_sum.cuh"
#include "formulas/activations.hpp"
#include "formulas/sparsity.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

struct Arguments {
  const float* y;
  const float* saved;            ///< y, or z where the slope needs that
  const float* activation_sums;  ///< of y's columns; null where nothing is asked of them
  float* dy;
  float* dbias;
  double* penalty_sum;
};

template <typename Formula>
__global__ void __launch_bounds__(kColumnSumThreads)
    sparsity_gradient_kernel(Arguments arguments, sparsity::Rates rates, std::int64_t rows,
                             std::int64_t cols, Scratch scratch) {
  const std::int64_t column = std::int64_t{blockIdx.x} * 32 + threadIdx.x;
  const bool counts_column = blockIdx.y == 0 && threadIdx.y == 0 && rows > 0;
  float of_mean = 0.0F;
  double penalty = 0;
  if (arguments.activation_sums != nullptr && column < cols) {
    const float mean = sparsity::mean_activation(arguments.activation_sums[column], rates);
    of_mean = sparsity::mean_gradient(mean, rates);
    if (counts_column) {
      penalty = rates.kl * static_cast<double>(sparsity::divergence(rates.rho, mean));
    }
  }

  float size = 0.0F;
  sum_columns<1>(
      rows, cols, scratch, arguments.dbias, [&](std::int64_t row, std::int64_t col, float* sum) {
        const std::int64_t at = row * cols + col;
        const float y = arguments.y[at];
        float saved = y;
        if constexpr (Formula::kSlopeFromInput) saved = arguments.saved[at];
        const float gradient =
            sparsity::gradient(y, arguments.dy[at], Formula::slope(saved), of_mean, rates);
        arguments.dy[at] = gradient;
        *sum += gradient;
        size += fabsf(y);
      });
  add_to_loss(penalty + static_cast<double>(rates.l1 * size), scratch, arguments.penalty_sum);
}

}  // namespace

void launch(const SparsityBackward& op, LaunchContext& context) {
  const std::int64_t rows = op.y.rows;
  const std::int64_t cols = op.y.cols;
  if (cols == 0) return;
  // Without dbias, the column sums have a place of their own.
  const std::int64_t means = needs_means(op) ? cols : 0;
  const std::int64_t unwanted_sums = op.dbias.exists() ? 0 : cols;
  ScratchSizes sizes = column_sum_scratch(rows, cols);
  sizes.statistics = means + unwanted_sums;
  const Scratch scratch = context.scratch(sizes);
  if (needs_means(op)) {
    sum_activations(op.y.data, rows, cols, scratch.statistics, scratch, context);
  }
  const Arguments arguments{.y = op.y.data,
                            .saved = saved_output(op),
                            .activation_sums = needs_means(op) ? scratch.statistics : nullptr,
                            .dy = op.dy.data,
                            .dbias = op.dbias.exists() ? op.dbias.data : scratch.statistics + means,
                            .penalty_sum = op.penalty_sum.data};
  const sparsity::Rates rates = sparsity::rates_of(op.sparsity, op.kept_largest, rows);
  for_activation(op.activation, [&]<typename Formula>() {
    AE_LAUNCH(sparsity_gradient_kernel<Formula>, column_sum_shape(rows, cols, 1), context,
              arguments, rates, rows, cols, scratch);
  });
}

}  // namespace ae::AE_DEVICE_NAMESPACE
