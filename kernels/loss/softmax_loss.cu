// Softmax and cross-entropy over each pixel's channels against its class, and their gradient; z
// (pixels, channels). See ae::SoftmaxLoss.
//
// A warp a pixel, its lanes along the channels: the largest logit, the sum of the powers, and then
// the gradient, by halves, so that every lane has the same bits. A pixel comes from cache when it
// is read again. Losses are summed in double, a block's by its warps, the blocks' by the last
// block; the bias gradient is a sum of columns of its own, see code_statistics.cu.
//
// Traffic: 8 bytes a value, 4 read and 4 written.
// Besides, 4 are read a pixel for its class, and the bias, which every pixel reads again, is taken
// to come from cache; without gradients, nothing is written but 8 bytes a row.

#include <algorithm>

#include "code/code_statistics.hpp"
#include "common/column_sums.cuh"
#include "common/last_block.cuh"
#include "common/reduce.cuh"
#include "common/row_sum.cuh"
#include "formulas/softmax.hpp"
#include "loss/softmax_loss.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kMaxBlocks = 1024;

struct Pixels {
  const float* z;
  const float* bias;
  const std::int32_t* classes;
  std::int64_t channels;
};

__device__ float warp_largest(float value) {
  constexpr unsigned kWholeWarp = 0xFFFFFFFFU;
  for (unsigned distance = 16; distance > 0; distance /= 2) {
    const float other = __shfl_xor_sync(kWholeWarp, value, distance);
    value = other > value ? other : value;
  }
  return value;
}

/// What a warp's lanes know of a pixel.
struct Softmax {
  float largest;
  float sum;
};

__device__ Softmax softmax_of(const Pixels& pixels, const float* z) {
  const std::int64_t channels = pixels.channels;
  // Lanes without a channel of their own begin with the first one.
  const std::int64_t first = threadIdx.x < channels ? threadIdx.x : 0;
  float largest = z[first] + pixels.bias[first];
  for (std::int64_t c = threadIdx.x; c < channels; c += 32) {
    const float logit = z[c] + pixels.bias[c];
    largest = logit > largest ? logit : largest;
  }
  largest = warp_largest(largest);
  float sum = 0.0F;
  for (std::int64_t c = threadIdx.x; c < channels; c += 32) {
    sum += softmax::power(z[c] + pixels.bias[c], largest);
  }
  return {largest, row_sum(sum)};
}

__device__ double loss_of(const Pixels& pixels, const float* z, std::int32_t number,
                          const Softmax& found) {
  return static_cast<double>(
      softmax::loss(z[number] + pixels.bias[number], found.largest, found.sum));
}

__global__ void __launch_bounds__(kThreads)
    softmax_loss_kernel(Pixels pixels, std::int64_t count, float gradient_scale, float* dz,
                        double* loss_sum, Scratch scratch) {
  const std::int64_t channels = pixels.channels;
  double loss = 0;
  const std::int64_t stride = std::int64_t{gridDim.x} * kWarps;
  for (std::int64_t pixel = std::int64_t{blockIdx.x} * kWarps + threadIdx.y; pixel < count;
       pixel += stride) {
    const float* const z = pixels.z + pixel * channels;
    float* const gradients = dz + pixel * channels;
    const std::int32_t number = pixels.classes[pixel];
    const bool counts = softmax::is_class(number, channels);
    const Softmax found = softmax_of(pixels, z);
    if (counts && threadIdx.x == 0) loss += loss_of(pixels, z, number, found);
    __syncwarp();  // dz may be the memory of z
    for (std::int64_t c = threadIdx.x; c < channels; c += 32) {
      const float power = softmax::power(z[c] + pixels.bias[c], found.largest);
      gradients[c] =
          counts ? gradient_scale * softmax::gradient(power, found.sum, c == number) : 0.0F;
    }
  }
  const double of_block = block_sum<kThreads>(loss);
  const unsigned thread = threadIdx.y * 32 + threadIdx.x;
  if (thread == 0) scratch.losses[blockIdx.x] = of_block;
  if (!is_last_block(scratch.counters, gridDim.x)) return;
  double of_blocks = 0;
  for (unsigned block = thread; block < gridDim.x; block += kThreads) {
    of_blocks += scratch.losses[block];
  }
  const double total = block_sum<kThreads>(of_blocks);
  if (thread == 0) *loss_sum += total;
}

/// A block a row of the batch.
__global__ void __launch_bounds__(kThreads)
    softmax_row_losses_kernel(Pixels pixels, std::int64_t pixels_a_row, double* sums) {
  double loss = 0;
  for (std::int64_t i = threadIdx.y; i < pixels_a_row; i += kWarps) {
    const std::int64_t pixel = std::int64_t{blockIdx.x} * pixels_a_row + i;
    const std::int32_t number = pixels.classes[pixel];
    if (!softmax::is_class(number, pixels.channels)) continue;  // the whole warp
    const float* const z = pixels.z + pixel * pixels.channels;
    const Softmax found = softmax_of(pixels, z);
    if (threadIdx.x == 0) loss += loss_of(pixels, z, number, found);
  }
  const double sum = block_sum<kThreads>(loss);
  if (threadIdx.x == 0 && threadIdx.y == 0) sums[blockIdx.x] = sum;
}

}  // namespace

void launch(const SoftmaxLoss& op, LaunchContext& context) {
  const std::int64_t channels = op.channels();
  const std::int64_t count = op.classes.size();
  if (channels == 0) return;
  const LaunchShape shape{blocks_for(count, kWarps, kMaxBlocks), dim3(32, kWarps)};
  ScratchSizes sizes = column_sum_scratch(count, channels);
  sizes.losses = std::max(sizes.losses, std::int64_t{shape.grid.x});
  const Scratch scratch = context.scratch(sizes);
  if (count > 0) {
    const Pixels pixels{op.z.data, op.bias.data, op.classes.data, channels};
    AE_LAUNCH(softmax_loss_kernel, shape, context, pixels, count, op.gradient_scale, op.dz.data,
              op.loss_sum.data, scratch);
  }
  sum_activations(op.dz.data, count, channels, op.dbias.data, scratch, context);
}

void launch(const SoftmaxRowLosses& op, LaunchContext& context) {
  if (op.z.rows == 0) return;
  const LaunchShape shape{dim3(static_cast<unsigned>(op.z.rows)), dim3(32, kWarps)};
  const Pixels pixels{op.z.data, op.bias.data, op.classes.data, op.channels()};
  AE_LAUNCH(softmax_row_losses_kernel, shape, context, pixels, op.classes.cols, op.sums.data);
}

}  // namespace ae::AE_DEVICE_NAMESPACE
