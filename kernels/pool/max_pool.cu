// y = the largest value of each window of x. Launch and layout: pooling.cuh.
//
// Traffic: 4 + 4/size² bytes an element of x, 4 read and the rest written.

#include "common/launch_context.hpp"
#include "pool/max_pool.hpp"
#include "pool/pooling.cuh"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

__global__ void __launch_bounds__(kPoolingThreads)
    max_pool_kernel(PoolingWindows windows, const float* x, float* y) {
  for_windows(windows, [&](const PoolingWindow& window) {
    float largest = x[window.large];
    for (int row = 0; row < window.rows; ++row) {
      for (int col = 0; col < window.cols; ++col) {
        const int pixel = row * windows.width + col;
        const float value = x[window.large + std::int64_t{pixel} * windows.channels];
        if (value > largest) largest = value;
      }
    }
    y[window.small] = largest;
  });
}

}  // namespace

void launch(const MaxPoolForward& op, LaunchContext& context) {
  const PoolingWindows windows = windows_of(op.input, op.size);
  const LaunchShape shape = pooling_shape(windows, op.x.rows);
  if (shape.grid.x == 0) return;
  AE_LAUNCH(max_pool_kernel, shape, context, windows, op.x.data, op.y.data);
}

}  // namespace ae::AE_DEVICE_NAMESPACE
