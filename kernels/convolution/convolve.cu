// y = convolution(x, W), in either direction: a matrix product whose left factor, a row for each
// output pixel and a column for each tap and input channel, is read from the images in place.
//
// Towards the map, that row is the pixel's window of the image. Towards the image, pixels whose row
// and column have the same residues modulo the stride share their taps and read neighbouring
// windows of the map (see Gathered); blockIdx.z is such a pair of residues.
//
// A block makes a tile of pixels × units (output channels) from slices of 16 columns that it brings
// to shared memory, as gemm.cu does. Of a slice, 16 neighbouring threads bring one pixel's values,
// which are neighbours in memory; where each pixel's window begins is noted in shared memory once.
// A thread keeps some pixels × 4 units in registers. There is a wide tile, and a tall one for few
// units. Every output is summed by one thread in the order of the taps.
//
// Traffic: 4·k·(1/units + 1/pixels) + 4 bytes an output, k taps × channels, tile of pixels × units.
// Tiles are 128 × 32, or 256 × 4 for up to four units. That windows overlap and blocks share
// weights, which may then come from cache, is left out.

#include "convolution/convolution_kernels.hpp"
#include "convolution/geometry.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

constexpr int kThreads = 256;
constexpr int kSlice = 16;
constexpr int kEachUnits = 4;  // of a thread
constexpr int kOutside = -(1 << 30);

/// A convolution in one direction.
struct Work {
  Towards towards;
  ImageShape input;
  ImageShape output;
  ConvolvedLine rows;
  ConvolvedLine cols;
};

/// Where an output pixel reads and writes.
struct Place {
  std::int64_t image;  // its input begins here
  std::int64_t output;
  int row;  // of the first tap
  int col;
};

template <int kPixels, int kUnits>
__global__ void __launch_bounds__(kThreads)
    convolve_kernel(Work work, const float* x, const float* w, float* y, std::int64_t batch) {
  constexpr int kThreadCols = kUnits / kEachUnits;
  constexpr int kThreadRows = kThreads / kThreadCols;
  constexpr int kEachPixels = kPixels / kThreadRows;
  static_assert(kEachPixels * kThreadRows == kPixels);
  AE_SHARED(places, Place[kPixels]);
  AE_SHARED(x_slice, float[kSlice][kPixels + 1]);  // one more, so that banks differ
  AE_SHARED(w_slice, float[kSlice][kUnits + 1]);

  const ImageShape input = work.input;
  const ImageShape output = work.output;
  const auto residues = static_cast<unsigned>(gathered_count(work.cols, work.towards));
  const Gathered rows = gathered(work.rows, work.towards, blockIdx.z / residues);
  const Gathered cols = gathered(work.cols, work.towards, blockIdx.z % residues);
  const std::int64_t pixels = batch * rows.outputs * cols.outputs;
  const std::int64_t first_pixel = std::int64_t{blockIdx.x} * kPixels;
  if (first_pixel >= pixels) return;  // residues have different numbers of them

  const int thread = static_cast<int>(threadIdx.x);
  for (int i = thread; i < kPixels; i += kThreads) {
    Place place{0, 0, kOutside, kOutside};
    const std::int64_t pixel = first_pixel + i;
    if (pixel < pixels) {
      const std::int64_t of_row = pixel / cols.outputs;
      const std::int64_t col = pixel % cols.outputs;
      const std::int64_t image = of_row / rows.outputs;
      const std::int64_t row = of_row % rows.outputs;
      place.image = image * input.height * input.width * input.channels;
      place.row = static_cast<int>(rows.first_input + row * rows.input_step);
      place.col = static_cast<int>(cols.first_input + col * cols.input_step);
      const std::int64_t output_row =
          image * output.height + rows.first_output + row * rows.output_step;
      const std::int64_t output_col = cols.first_output + col * cols.output_step;
      place.output = (output_row * output.width + output_col) * output.channels;
    }
    places[i] = place;
  }

  const int height = static_cast<int>(input.height);
  const int width = static_cast<int>(input.width);
  const int channels = static_cast<int>(input.channels);
  const int units = static_cast<int>(output.channels);
  const int taps = static_cast<int>(cols.taps);
  // W has a tap's image channels down and its map channels across.
  const int channel_step = work.towards == Towards::map ? units : 1;
  const int unit_step = work.towards == Towards::map ? 1 : channels;
  const int depth = static_cast<int>(rows.taps) * taps * channels;
  const int first_unit = static_cast<int>(blockIdx.y) * kUnits;
  const int thread_row = thread / kThreadCols;
  const int thread_col = thread % kThreadCols;
  const int slice = thread % kSlice;

  float sum[kEachPixels][kEachUnits] = {};
  for (int first = 0; first < depth; first += kSlice) {
    __syncthreads();  // the places are there, and the last slice is done with
    const int tap = (first + slice) / channels;
    const int channel = (first + slice) % channels;
    const int tap_row = tap / taps;
    const int tap_col = tap % taps;
    const bool inside = first + slice < depth;
    for (int i = thread / kSlice; i < kPixels; i += kThreads / kSlice) {
      const int row = places[i].row + tap_row;
      const int col = places[i].col + tap_col;
      const bool there = inside && row >= 0 && row < height && col >= 0 && col < width;
      x_slice[slice][i] =
          there ? x[places[i].image + (std::int64_t{row} * width + col) * channels + channel]
                : 0.0F;
    }
    const std::int64_t w_tap = (rows.first_tap + tap_row * rows.tap_step) * work.cols.kernel +
                               cols.first_tap + tap_col * cols.tap_step;
    const float* const w_of_tap = w + w_tap * channels * units;
    for (int i = thread / kSlice; i < kUnits; i += kThreads / kSlice) {
      const int unit = first_unit + i;
      const bool there = inside && unit < units;
      w_slice[slice][i] = there ? w_of_tap[channel * channel_step + unit * unit_step] : 0.0F;
    }
    __syncthreads();
    for (int k = 0; k < kSlice; ++k) {
      float x_part[kEachPixels];
      float w_part[kEachUnits];
      AE_UNROLL
      for (int i = 0; i < kEachPixels; ++i) x_part[i] = x_slice[k][thread_row + i * kThreadRows];
      AE_UNROLL
      for (int j = 0; j < kEachUnits; ++j) w_part[j] = w_slice[k][thread_col + j * kThreadCols];
      AE_UNROLL
      for (int i = 0; i < kEachPixels; ++i) {
        AE_UNROLL
        for (int j = 0; j < kEachUnits; ++j) sum[i][j] += x_part[i] * w_part[j];
      }
    }
  }
  __syncthreads();  // the places are there even if there are no taps
  AE_UNROLL
  for (int i = 0; i < kEachPixels; ++i) {
    const int pixel = thread_row + i * kThreadRows;
    if (first_pixel + pixel >= pixels) continue;
    AE_UNROLL
    for (int j = 0; j < kEachUnits; ++j) {
      const int unit = first_unit + thread_col + j * kThreadCols;
      if (unit < units) y[places[pixel].output + unit] = sum[i][j];
    }
  }
}

template <int kPixels, int kUnits>
void launch_convolve(const Work& work, const float* x, const float* w, float* y, std::int64_t batch,
                     LaunchContext& context) {
  const std::int64_t rows = gathered_count(work.rows, work.towards);
  const std::int64_t cols = gathered_count(work.cols, work.towards);
  if (rows * cols == 0) return;
  // No residue has more outputs than the first.
  const std::int64_t pixels = batch * gathered(work.rows, work.towards, 0).outputs *
                              gathered(work.cols, work.towards, 0).outputs;
  const auto tiles = [](std::int64_t size, std::int64_t tile) {
    return static_cast<unsigned>((size + tile - 1) / tile);
  };
  if (pixels * work.output.channels == 0) return;
  const LaunchShape shape{dim3(tiles(pixels, kPixels), tiles(work.output.channels, kUnits),
                               static_cast<unsigned>(rows * cols)),
                          dim3(kThreads)};
  AE_LAUNCH((convolve_kernel<kPixels, kUnits>), shape, context, work, x, w, y, batch);
}

}  // namespace

void convolve(const Convolution& convolution, Towards towards, const float* x, const float* w,
              float* y, std::int64_t batch, LaunchContext& context) {
  const bool to_map = towards == Towards::map;
  const Work work{.towards = towards,
                  .input = to_map ? convolution.image : convolution.map,
                  .output = to_map ? convolution.map : convolution.image,
                  .rows = rows_of(convolution),
                  .cols = cols_of(convolution)};
  if (work.output.channels > kEachUnits) {
    launch_convolve<128, 32>(work, x, w, y, batch, context);
  } else {
    launch_convolve<256, kEachUnits>(work, x, w, y, batch, context);
  }
}

}  // namespace ae::AE_DEVICE_NAMESPACE
