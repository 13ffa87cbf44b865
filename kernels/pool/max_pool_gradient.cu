// dx = dy where x is its window's first largest value in row-major order, 0 elsewhere. Each window
// is found again in x, which costs less than to keep where it was. Launch and layout: pooling.cuh.
//
// Traffic: 8 + 4/size² bytes an element of x, 4 written and the rest read.

#include "common/launch_context.hpp"
#include "pool/max_pool.hpp"
#include "pool/pooling.cuh"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

__global__ void __launch_bounds__(kPoolingThreads)
    max_pool_gradient_kernel(PoolingWindows windows, const float* x, const float* dy, float* dx) {
  for_windows(windows, [&](const PoolingWindow& window) {
    float largest = x[window.large];
    int found = 0;
    for (int row = 0; row < window.rows; ++row) {
      for (int col = 0; col < window.cols; ++col) {
        const int pixel = row * windows.width + col;
        const float value = x[window.large + std::int64_t{pixel} * windows.channels];
        if (value > largest) {
          largest = value;
          found = pixel;
        }
      }
    }
    const float gradient = dy[window.small];
    for (int row = 0; row < window.rows; ++row) {
      for (int col = 0; col < window.cols; ++col) {
        const int pixel = row * windows.width + col;
        dx[window.large + std::int64_t{pixel} * windows.channels] =
            pixel == found ? gradient : 0.0F;
      }
    }
  });
}

}  // namespace

void launch(const MaxPoolBackward& op, LaunchContext& context) {
  const PoolingWindows windows = windows_of(op.input, op.size);
  const LaunchShape shape = pooling_shape(windows, op.x.rows);
  if (shape.grid.x == 0) return;
  AE_LAUNCH(max_pool_gradient_kernel, shape, context, windows, op.x.data, op.dy.data, op.dx.data);
}

}  // namespace ae::AE_DEVICE_NAMESPACE
