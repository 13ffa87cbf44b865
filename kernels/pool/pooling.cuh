#pragma once

#include <cstdint>

#include "common/launch.hpp"
#include "convolution/geometry.hpp"

/// The frame of kernels between an image and a smaller one, whose pixels are square windows of it:
/// a block a row of one of the two images, its threads along columns and channels, which are
/// neighbours in memory.
namespace ae::AE_DEVICE_NAMESPACE {

inline constexpr int kPoolingThreads = 128;

/// Windows of size × size pixels; those at the lower and right edge may be cut off.
struct PoolingWindows {
  int height;  // of the large image
  int width;
  int channels;
  int size;
  int small_height;
  int small_width;
};

inline PoolingWindows windows_of(const ImageShape& large, std::int64_t size) {
  const auto pieces = [size](std::int64_t length) {
    return static_cast<int>((length + size - 1) / size);
  };
  return {static_cast<int>(large.height),
          static_cast<int>(large.width),
          static_cast<int>(large.channels),
          static_cast<int>(size),
          pieces(large.height),
          pieces(large.width)};
}

/// Of an upsampling, whose output is the large image.
inline PoolingWindows upsampled_windows(const ImageShape& small, std::int64_t factor) {
  return windows_of({small.height * factor, small.width * factor, small.channels}, factor);
}

/// A value of the small image, and its window of the large one.
struct PoolingWindow {
  std::int64_t small;
  std::int64_t large;  // the first value
  int rows;
  int cols;
};

/// Calls visit(window) for the values of the small image that are this thread's; a block has a row.
template <typename Visit>
__device__ void for_windows(const PoolingWindows& windows, const Visit& visit) {
  const int row = static_cast<int>(blockIdx.x % static_cast<unsigned>(windows.small_height));
  const std::int64_t image = blockIdx.x / static_cast<unsigned>(windows.small_height);
  const int first_row = row * windows.size;
  const int left = windows.height - first_row;
  const int row_size = windows.small_width * windows.channels;
  for (int i = static_cast<int>(threadIdx.x); i < row_size; i += kPoolingThreads) {
    const int first_col = i / windows.channels * windows.size;
    const int right = windows.width - first_col;
    const std::int64_t pixel = (image * windows.height + first_row) * windows.width + first_col;
    visit(PoolingWindow{.small = std::int64_t{blockIdx.x} * row_size + i,
                        .large = pixel * windows.channels + i % windows.channels,
                        .rows = left < windows.size ? left : windows.size,
                        .cols = right < windows.size ? right : windows.size});
  }
}

/// A block for each row of the small images; none if they are empty.
inline LaunchShape pooling_shape(const PoolingWindows& windows, std::int64_t batch) {
  const std::int64_t row_size = std::int64_t{windows.small_width} * windows.channels;
  return {dim3(row_size == 0 ? 0U : static_cast<unsigned>(batch * windows.small_height)),
          dim3(kPoolingThreads)};
}

}  // namespace ae::AE_DEVICE_NAMESPACE
