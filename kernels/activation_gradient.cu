// dx = dx ⊙ f'(z), in place, given y = f(z), all (rows, cols); sums[c] = Σ over rows of dx[:, c],
// which is the gradient of the bias. Launch and layout: column_sums.cuh.
//
// Traffic: 12 bytes an element, 8 read and 4 written.
// Besides, a column has 8 of partial sums for each block that crosses it, and 4 of sums.

#include "column_sums.cuh"
#include "for_activation.hpp"
#include "kernels.hpp"
#include "math.hpp"
#include "pack.cuh"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

template <Activation kActivation, int kWidth>
__global__ void __launch_bounds__(kColumnSumThreads)
    activation_gradient_kernel(const float* y, float* dx, std::int64_t rows, std::int64_t cols,
                               float* sums, ColumnSumScratch scratch) {
  sum_columns<kWidth>(rows, cols, scratch, sums,
                      [&](std::int64_t row, std::int64_t col, float* sum) {
                        const Pack<kWidth> output = load_pack<kWidth>(y + row * cols + col);
                        Pack<kWidth> gradient = load_pack<kWidth>(dx + row * cols + col);
                        for (int i = 0; i < kWidth; ++i) {
                          gradient.value[i] *= math::activation_slope<kActivation>(output.value[i]);
                          sum[i] += gradient.value[i];
                        }
                        store_pack<kWidth>(dx + row * cols + col, gradient);
                      });
}

}  // namespace

void activation_gradient(Activation activation, const float* y, float* dx, std::int64_t rows,
                         std::int64_t cols, float* sums, const ColumnSumScratch& scratch,
                         Stream stream) {
  if (cols == 0) return;
  for_activation(activation, [&]<Activation kActivation>() {
    if (packs_of_four(cols, y, dx, sums, scratch.columns)) {
      AE_LAUNCH((activation_gradient_kernel<kActivation, 4>), column_sum_shape(rows, cols, 4),
                stream, y, dx, rows, cols, sums, scratch);
    } else {
      AE_LAUNCH((activation_gradient_kernel<kActivation, 1>), column_sum_shape(rows, cols, 1),
                stream, y, dx, rows, cols, sums, scratch);
    }
  });
}

}  // namespace ae::AE_DEVICE_NAMESPACE
