// y = the largest value of each window of x. Launch and layout: pooling.cuh.
//
// Traffic: 4 + 4/size² bytes an element of x, 4 read and the rest written.

#include "kernels.hpp"
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

void max_pool(const ImageShape& input, std::int64_t size, const float* x, float* y,
              std::int64_t batch, Stream stream) {
  const PoolingWindows windows = windows_of(input, size);
  const LaunchShape shape = pooling_shape(windows, batch);
  if (shape.grid.x == 0) return;
  AE_LAUNCH(max_pool_kernel, shape, stream, windows, x, y);
}

}  // namespace ae::AE_DEVICE_NAMESPACE
