// dx = the sum over each square of factor × factor values of dy, in row-major order. Launch and
// layout: pooling.cuh.
//
// Traffic: 4 + 4/factor² bytes an element of dy, 4 read and the rest written.

#include "common/launch_context.hpp"
#include "pool/pooling.cuh"
#include "pool/upsample.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

__global__ void __launch_bounds__(kPoolingThreads)
    upsample_gradient_kernel(PoolingWindows windows, const float* dy, float* dx) {
  for_windows(windows, [&](const PoolingWindow& window) {
    float sum = 0.0F;
    for (int row = 0; row < window.rows; ++row) {
      for (int col = 0; col < window.cols; ++col) {
        const int pixel = row * windows.width + col;
        sum += dy[window.large + std::int64_t{pixel} * windows.channels];
      }
    }
    dx[window.small] = sum;
  });
}

}  // namespace

void launch(const UpsampleBackward& op, LaunchContext& context) {
  const PoolingWindows windows = upsampled_windows(op.input, op.factor);
  const LaunchShape shape = pooling_shape(windows, op.dx.rows);
  if (shape.grid.x == 0) return;
  AE_LAUNCH(upsample_gradient_kernel, shape, context, windows, op.dy.data, op.dx.data);
}

}  // namespace ae::AE_DEVICE_NAMESPACE
