// dx = dx ⊙ f'(z), in place, given y = f(z), or z where the slope needs it, all (rows, cols);
// sums[c] = Σ over rows of dx[:, c], which is the gradient of the bias; where biases repeat every
// `channels` columns, Σ over the columns that are c modulo `channels` as well, by the last block.
// Launch and layout: column_sums.cuh.
//
// Traffic: 12 bytes an element, 8 read and 4 written.
// Besides, a column has 8 of partial sums for each block that crosses it, and 4 of sums.

#include "activation/activation_backward.hpp"
#include "activation/activation_kernels.hpp"
#include "common/column_sums.cuh"
#include "common/pack.cuh"
#include "convolution/geometry.hpp"
#include "formulas/activations.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

template <typename Formula, int kWidth>
__global__ void __launch_bounds__(kColumnSumThreads)
    activation_gradient_kernel(const float* saved, float* dx, std::int64_t rows, std::int64_t cols,
                               std::int64_t channels, float* sums, Scratch scratch) {
  float* const columns = channels == cols ? sums : columns_to_fold(scratch, cols);
  sum_columns<kWidth>(rows, cols, scratch, columns,
                      [&](std::int64_t row, std::int64_t col, float* sum) {
                        const Pack<kWidth> from = load_pack<kWidth>(saved + row * cols + col);
                        Pack<kWidth> gradient = load_pack<kWidth>(dx + row * cols + col);
                        for (int i = 0; i < kWidth; ++i) {
                          gradient.value[i] *= Formula::slope(from.value[i]);
                          sum[i] += gradient.value[i];
                        }
                        store_pack<kWidth>(dx + row * cols + col, gradient);
                      });
  if (channels == cols) return;
  if (!is_last_block(scratch.counters + gridDim.x, gridDim.x * gridDim.y)) return;
  fold_columns(columns, cols, channels, sums);
}

}  // namespace

void activation_gradient(Activation activation, const float* saved, float* dx, std::int64_t rows,
                         std::int64_t cols, float* sums, LaunchContext& context,
                         std::int64_t channels) {
  if (cols == 0) return;
  if (channels == 0) channels = cols;
  const Scratch scratch = context.scratch(column_sum_scratch(rows, cols));
  const float* const column_sums = channels == cols ? sums : scratch.columns;
  for_activation(activation, [&]<typename Formula>() {
    if (packs_of_four(cols, saved, dx, column_sums, scratch.columns)) {
      AE_LAUNCH((activation_gradient_kernel<Formula, 4>), column_sum_shape(rows, cols, 4), context,
                saved, dx, rows, cols, channels, sums, scratch);
    } else {
      AE_LAUNCH((activation_gradient_kernel<Formula, 1>), column_sum_shape(rows, cols, 1), context,
                saved, dx, rows, cols, channels, sums, scratch);
    }
  });
}

void launch(const ActivationBackward& op, LaunchContext& context) {
  const std::int64_t cols = columns_of_repeats(op.y.cols, op.channels);
  const std::int64_t rows = cols == 0 ? 0 : op.y.size() / cols;
  activation_gradient(op.activation, saved_output(op), op.dy.data, rows, cols, op.dbias.data,
                      context, op.channels);
}

}  // namespace ae::AE_DEVICE_NAMESPACE
