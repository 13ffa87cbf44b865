// Every value of x becomes a square of factor × factor values of y. Launch and layout: pooling.cuh.
//
// Traffic: 4 + 4/factor² bytes an element of y, 4 written and the rest read.

#include "common/launch_context.hpp"
#include "pool/pooling.cuh"
#include "pool/upsample.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

__global__ void __launch_bounds__(kPoolingThreads)
    upsample_kernel(PoolingWindows windows, const float* x, float* y) {
  for_windows(windows, [&](const PoolingWindow& window) {
    const float value = x[window.small];
    for (int row = 0; row < window.rows; ++row) {
      for (int col = 0; col < window.cols; ++col) {
        const int pixel = row * windows.width + col;
        y[window.large + std::int64_t{pixel} * windows.channels] = value;
      }
    }
  });
}

}  // namespace

void launch(const UpsampleForward& op, LaunchContext& context) {
  const PoolingWindows windows = upsampled_windows(op.input, op.factor);
  const LaunchShape shape = pooling_shape(windows, op.x.rows);
  if (shape.grid.x == 0) return;
  AE_LAUNCH(upsample_kernel, shape, context, windows, op.x.data, op.y.data);
}

}  // namespace ae::AE_DEVICE_NAMESPACE
