// The output layer's bias, activation, loss, gradient and bias gradient in one pass over the batch:
//   *loss_sum += Σ loss(z + b, t),  dz = scale · ∂loss/∂(z + b),  dbias[c] = Σ over rows of dz[:,
//   c].
// Where biases repeat, every `channels` columns, dbias is folded by the last block.
// Nothing is read or written twice. Launch and layout: column_sums.cuh; the loss is summed in float
// over a thread's few elements and in double from there on, the blocks' sums by the last block.
//
// Traffic: 12 bytes an element, 8 read and 4 written.
// Besides, a column has 8 of partial sums for each block that crosses it, and 4 of sums; a block
// has 16 of loss. Each block reads its columns' biases once.

#include "common/column_sums.cuh"
#include "common/loss_sum.cuh"
#include "common/pack.cuh"
#include "formulas/losses.hpp"
#include "loss/reconstruction_loss.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

struct Arguments {
  const float* z;
  const float* bias;
  std::int64_t channels;
  const float* target;
  float gradient_scale;
  float* dz;
  float* dbias;
  double* loss_sum;
};

template <typename Formula, int kWidth>
__global__ void __launch_bounds__(kColumnSumThreads)
    reconstruction_loss_kernel(Formula formula, Arguments arguments, std::int64_t rows,
                               std::int64_t cols, Scratch scratch) {
  float loss = 0.0F;
  const std::int64_t channels = arguments.channels;
  Pack<kWidth> bias{};
  if (first_column<kWidth>() < cols) {
    bias = load_repeating<kWidth>(arguments.bias, first_column<kWidth>(), channels);
  }
  float* const columns = channels == cols ? arguments.dbias : columns_to_fold(scratch, cols);
  sum_columns<kWidth>(rows, cols, scratch, columns,
                      [&](std::int64_t row, std::int64_t col, float* sum) {
                        const std::int64_t at = row * cols + col;
                        const Pack<kWidth> z = load_pack<kWidth>(arguments.z + at);
                        const Pack<kWidth> target = load_pack<kWidth>(arguments.target + at);
                        Pack<kWidth> gradient;
                        AE_UNROLL
                        for (int i = 0; i < kWidth; ++i) {
                          const float logit = z.value[i] + bias.value[i];
                          const losses::LossAndGradient here =
                              formula.at(logit, formula.prepare(logit), target.value[i]);
                          gradient.value[i] = arguments.gradient_scale * here.gradient;
                          sum[i] += gradient.value[i];
                          loss += here.loss;
                        }
                        store_pack<kWidth>(arguments.dz + at, gradient);
                      });

  const bool came_last = add_to_loss(static_cast<double>(loss), scratch, arguments.loss_sum);
  if (came_last && channels != cols) fold_columns(columns, cols, channels, arguments.dbias);
}

}  // namespace

void launch(const ReconstructionLoss& op, LaunchContext& context) {
  const std::int64_t rows = op.z.rows;
  const std::int64_t cols = op.z.cols;
  if (cols == 0) return;
  const Scratch scratch = context.scratch(column_sum_scratch(rows, cols));
  const Arguments arguments{.z = op.z.data,
                            .bias = op.bias.data,
                            .channels = op.channels(),
                            .target = op.target.data,
                            .gradient_scale = op.gradient_scale,
                            .dz = op.dz.data,
                            .dbias = op.dbias.data,
                            .loss_sum = op.loss_sum.data};
  const float* const sums = op.channels() == cols ? op.dbias.data : scratch.columns;
  const activations::Any output{op.activation};
  losses::for_loss(op.loss, output, [&]<typename Formula>(const Formula& formula) {
    if (packs_of_four(cols, arguments.z, arguments.target, arguments.dz, sums, scratch.columns)) {
      AE_LAUNCH((reconstruction_loss_kernel<Formula, 4>), column_sum_shape(rows, cols, 4), context,
                formula, arguments, rows, cols, scratch);
    } else {
      AE_LAUNCH((reconstruction_loss_kernel<Formula, 1>), column_sum_shape(rows, cols, 1), context,
                formula, arguments, rows, cols, scratch);
    }
  });
}

}  // namespace ae::AE_DEVICE_NAMESPACE
