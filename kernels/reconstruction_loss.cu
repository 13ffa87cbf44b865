// The output layer's bias, activation, loss, gradient and bias gradient in one pass over the batch:
//   *loss_sum += Σ loss(z + b, t),  dz = scale · ∂loss/∂(z + b),  dbias[c] = Σ over rows of dz[:,
//   c].
// Nothing is read or written twice. Launch and layout: column_sums.cuh; the loss is summed in float
// over a thread's few elements and in double from there on, the blocks' sums by the last block.
//
// Traffic: 12 bytes an element, 8 read and 4 written.
// Besides, a column has 8 of partial sums for each block that crosses it, and 4 of sums; a block
// has 16 of loss. The bias, which every row reads again, is taken to come from cache.

#include "column_sums.cuh"
#include "kernels.hpp"
#include "loss_sum.cuh"
#include "losses.hpp"
#include "pack.cuh"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

template <typename Formula, int kWidth>
__global__ void __launch_bounds__(kColumnSumThreads)
    reconstruction_loss_kernel(Formula formula, LossArguments arguments, std::int64_t rows,
                               std::int64_t cols, ColumnSumScratch scratch) {
  float loss = 0.0F;
  sum_columns<kWidth>(rows, cols, scratch, arguments.dbias,
                      [&](std::int64_t row, std::int64_t col, float* sum) {
                        const std::int64_t at = row * cols + col;
                        const Pack<kWidth> z = load_pack<kWidth>(arguments.z + at);
                        const Pack<kWidth> bias = load_pack<kWidth>(arguments.bias + col);
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

  add_to_loss(static_cast<double>(loss), scratch, arguments.loss_sum);
}

}  // namespace

void reconstruction_loss(const LossArguments& arguments, std::int64_t rows, std::int64_t cols,
                         const ColumnSumScratch& scratch, Stream stream) {
  if (cols == 0) return;
  const activations::Any output{arguments.activation};
  losses::for_loss(arguments.loss, output, [&]<typename Formula>(const Formula& formula) {
    if (packs_of_four(cols, arguments.z, arguments.bias, arguments.target, arguments.dz,
                      arguments.dbias, scratch.columns)) {
      AE_LAUNCH((reconstruction_loss_kernel<Formula, 4>), column_sum_shape(rows, cols, 4), stream,
                formula, arguments, rows, cols, scratch);
    } else {
      AE_LAUNCH((reconstruction_loss_kernel<Formula, 1>), column_sum_shape(rows, cols, 1), stream,
                formula, arguments, rows, cols, scratch);
    }
  });
}

}  // namespace ae::AE_DEVICE_NAMESPACE
