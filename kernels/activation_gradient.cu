// dx = dx ⊙ f'(z), in place, given y = f(z), or z where the slope needs it, all (rows, cols);
// sums[c] = Σ over rows of dx[:, c], which is the gradient of the bias. Launch and layout:
// column_sums.cuh.
//
// Traffic: 12 bytes an element, 8 read and 4 written.
// Besides, a column has 8 of partial sums for each block that crosses it, and 4 of sums.

#include "activations.hpp"
#include "column_sums.cuh"
#include "kernels.hpp"
#include "pack.cuh"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

template <typename Formula, int kWidth>
__global__ void __launch_bounds__(kColumnSumThreads)
    activation_gradient_kernel(const float* saved, float* dx, std::int64_t rows, std::int64_t cols,
                               float* sums, ColumnSumScratch scratch) {
  sum_columns<kWidth>(rows, cols, scratch, sums,
                      [&](std::int64_t row, std::int64_t col, float* sum) {
                        const Pack<kWidth> from = load_pack<kWidth>(saved + row * cols + col);
                        Pack<kWidth> gradient = load_pack<kWidth>(dx + row * cols + col);
                        for (int i = 0; i < kWidth; ++i) {
                          gradient.value[i] *= Formula::slope(from.value[i]);
                          sum[i] += gradient.value[i];
                        }
                        store_pack<kWidth>(dx + row * cols + col, gradient);
                      });
}

}  // namespace

void activation_gradient(Activation activation, const float* saved, float* dx, std::int64_t rows,
                         std::int64_t cols, float* sums, const ColumnSumScratch& scratch,
                         Stream stream) {
  if (cols == 0) return;
  for_activation(activation, [&]<typename Formula>() {
    if (packs_of_four(cols, saved, dx, sums, scratch.columns)) {
      AE_LAUNCH((activation_gradient_kernel<Formula, 4>), column_sum_shape(rows, cols, 4), stream,
                saved, dx, rows, cols, sums, scratch);
    } else {
      AE_LAUNCH((activation_gradient_kernel<Formula, 1>), column_sum_shape(rows, cols, 1), stream,
                saved, dx, rows, cols, sums, scratch);
    }
  });
}

}  // namespace ae::AE_DEVICE_NAMESPACE
