// dW[k, o] = Σ over all map pixels of window(pixel, k)·map(pixel, o), where k counts the taps and
// channels (ky, kx, c) of the windows that the pixels have of their images.
//
// A matrix product summed over pixels, of which there are many, while dW is small: so the rows of
// all maps are cut into stretches, blockIdx.z is a stretch, and the last block of each tile of dW
// adds the stretches' sums up in their order. Within its stretch, a block takes slices of up to 16
// neighbouring pixels of a map row to shared memory. A thread stays with one k as it brings them,
// and keeps 4 × 2 elements of a tile of 64 × 32 in registers.
//
// Traffic: 4/32 + 4/64 bytes a multiply-add.
// In whole tiles; that windows overlap, so that most of it may come from cache, is left out.
// Besides, a stretch has 8 bytes an element of dW.

#include "common/last_block.cuh"
#include "convolution/convolution_kernels.hpp"
#include "convolution/geometry.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

constexpr int kThreads = 256;
constexpr int kValues = 64;  // of a tile, values of windows
constexpr int kUnits = 32;
constexpr int kSlice = 16;
constexpr int kSide = 16;  // threads along each side of a tile
constexpr int kEachValues = kValues / kSide;
constexpr int kEachUnits = kUnits / kSide;
constexpr std::int64_t kRows = 16;  // of a stretch; more where there are enough tiles
constexpr std::int64_t kMostBlocks = 512;

__global__ void __launch_bounds__(kThreads)
    convolution_weights_kernel(Convolution convolution, const float* images, const float* maps,
                               float* dw, std::int64_t batch, Scratch scratch) {
  AE_SHARED(image_slice, float[kSlice][kValues]);
  AE_SHARED(map_slice, float[kSlice][kUnits]);
  const ImageShape& image = convolution.image;
  const ImageShape& map = convolution.map;
  const int height = static_cast<int>(image.height);
  const int width = static_cast<int>(image.width);
  const int channels = static_cast<int>(image.channels);
  const int map_width = static_cast<int>(map.width);
  const int units = static_cast<int>(map.channels);
  const int stride = static_cast<int>(convolution.stride);
  const int kernel_width = static_cast<int>(convolution.kernel_width);
  const int depth = static_cast<int>(convolution.kernel_height) * kernel_width * channels;

  const int thread = static_cast<int>(threadIdx.x);
  const int first_value = static_cast<int>(blockIdx.x) * kValues;
  const int first_unit = static_cast<int>(blockIdx.y) * kUnits;
  const int value_place = thread % kValues;
  const int unit_place = thread % kUnits;
  const int value = first_value + value_place;
  const int channel = value % channels;
  const int tap_col = value / channels % kernel_width;
  const int tap_row = value / channels / kernel_width;
  const int thread_value = thread / kSide;
  const int thread_unit = thread % kSide;

  const std::int64_t rows = batch * map.height;
  const std::int64_t rows_a_stretch = (rows + gridDim.z - 1) / gridDim.z;
  const std::int64_t begin = blockIdx.z * rows_a_stretch;
  const std::int64_t end = begin + rows_a_stretch < rows ? begin + rows_a_stretch : rows;

  float sum[kEachValues][kEachUnits] = {};
  for (std::int64_t map_row = begin; map_row < end; ++map_row) {
    const std::int64_t number = map_row / map.height;
    const int row = static_cast<int>(map_row % map.height) * stride + tap_row -
                    static_cast<int>(convolution.top);
    const bool row_there = value < depth && row >= 0 && row < height;
    const float* const image_row = images + (number * height + row) * width * channels + channel;
    const float* const of_map = maps + map_row * map_width * units;
    for (int first = 0; first < map_width; first += kSlice) {
      const int count = map_width - first < kSlice ? map_width - first : kSlice;
      __syncthreads();  // the last slice is done with
      for (int p = thread / kValues; p < count; p += kThreads / kValues) {
        const int col = (first + p) * stride + tap_col - static_cast<int>(convolution.left);
        const bool there = row_there && col >= 0 && col < width;
        image_slice[p][value_place] = there ? image_row[std::int64_t{col} * channels] : 0.0F;
      }
      for (int p = thread / kUnits; p < count; p += kThreads / kUnits) {
        const int unit = first_unit + unit_place;
        map_slice[p][unit_place] =
            unit < units ? of_map[std::int64_t{first + p} * units + unit] : 0.0F;
      }
      __syncthreads();
      for (int p = 0; p < count; ++p) {
        float image_part[kEachValues];
        float map_part[kEachUnits];
        AE_UNROLL
        for (int i = 0; i < kEachValues; ++i)
          image_part[i] = image_slice[p][thread_value + i * kSide];
        AE_UNROLL
        for (int j = 0; j < kEachUnits; ++j) map_part[j] = map_slice[p][thread_unit + j * kSide];
        AE_UNROLL
        for (int i = 0; i < kEachValues; ++i) {
          AE_UNROLL
          for (int j = 0; j < kEachUnits; ++j) sum[i][j] += image_part[i] * map_part[j];
        }
      }
    }
  }

  const std::int64_t weights = std::int64_t{depth} * units;
  AE_UNROLL
  for (int i = 0; i < kEachValues; ++i) {
    AE_UNROLL
    for (int j = 0; j < kEachUnits; ++j) {
      const int k = first_value + thread_value + i * kSide;
      const int unit = first_unit + thread_unit + j * kSide;
      if (k < depth && unit < units) {
        scratch.columns[blockIdx.z * weights + std::int64_t{k} * units + unit] = sum[i][j];
      }
    }
  }
  if (!is_last_block(scratch.counters + blockIdx.y * gridDim.x + blockIdx.x, gridDim.z)) return;
  for (int i = thread; i < kValues * kUnits; i += kThreads) {
    const int k = first_value + i / kUnits;
    const int unit = first_unit + i % kUnits;
    if (k >= depth || unit >= units) continue;
    const std::int64_t at = std::int64_t{k} * units + unit;
    float total = 0.0F;
    for (unsigned stretch = 0; stretch < gridDim.z; ++stretch) {
      total += scratch.columns[stretch * weights + at];
    }
    dw[at] = total;
  }
}

LaunchShape shape_for(const Convolution& convolution, std::int64_t batch) {
  const std::int64_t depth =
      convolution.kernel_height * convolution.kernel_width * convolution.image.channels;
  const std::int64_t across = (depth + kValues - 1) / kValues;
  const std::int64_t down = (convolution.map.channels + kUnits - 1) / kUnits;
  const std::int64_t most = across * down > kMostBlocks ? 1 : kMostBlocks / (across * down);
  return {dim3(static_cast<unsigned>(across), static_cast<unsigned>(down),
               blocks_for(batch * convolution.map.height, kRows, most)),
          dim3(kThreads)};
}

}  // namespace

void convolution_weights(const Convolution& convolution, const float* images, const float* maps,
                         float* dw, std::int64_t batch, LaunchContext& context) {
  if (convolution.weights() == 0) return;
  const LaunchShape shape = shape_for(convolution, batch);
  const Scratch scratch = context.scratch({.columns = shape.grid.z * convolution.weights(),
                                           .counters = std::int64_t{shape.grid.x} * shape.grid.y});
  AE_LAUNCH(convolution_weights_kernel, shape, context, convolution, images, maps, dw, batch,
            scratch);
}

}  // namespace ae::AE_DEVICE_NAMESPACE
