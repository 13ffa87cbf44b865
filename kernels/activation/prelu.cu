// y = x where x > 0, slope[c]·x elsewhere, and its gradients; x (rows, cols), slopes repeat every
// `channels` columns.
//
// Forward: grid-stride over packs of four values where sizes and addresses allow. Backward: launch
// and layout of column_sums.cuh, since each channel's slope has a sum over the batch; the last
// block folds the columns of a channel.
//
// Traffic: 8 bytes a value forward, 4 read and 4 written.
// Backward 12, 8 read and 4 written, or 8 without dx. Besides, a column has 8 of partial sums for
// each block that crosses it; the slopes come from cache.

#include "activation/prelu.hpp"
#include "common/column_sums.cuh"
#include "common/pack.cuh"
#include "convolution/geometry.hpp"
#include "formulas/prelu.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

constexpr int kThreads = 256;
constexpr int kMaxBlocks = 4096;

template <int kWidth>
__global__ void __launch_bounds__(kThreads)
    prelu_kernel(const float* x, const float* slope, float* y, std::int64_t count,
                 std::int64_t channels) {
  const std::int64_t stride = std::int64_t{gridDim.x} * kThreads * kWidth;
  for (std::int64_t i = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * kWidth; i < count;
       i += stride) {
    Pack<kWidth> value = load_pack<kWidth>(x + i);
    const Pack<kWidth> slopes = load_repeating<kWidth>(slope, i % channels, channels);
    AE_UNROLL
    for (int e = 0; e < kWidth; ++e) {
      value.value[e] = prelu::value(value.value[e], slopes.value[e]);
    }
    store_pack<kWidth>(y + i, value);
  }
}

struct Arguments {
  const float* x;
  const float* slope;
  const float* dy;
  float* dslope;
  float* dx;  ///< may be null
};

template <int kWidth>
__global__ void __launch_bounds__(kColumnSumThreads)
    prelu_gradient_kernel(Arguments arguments, std::int64_t rows, std::int64_t cols,
                          std::int64_t channels, Scratch scratch) {
  Pack<kWidth> slopes{};
  if (first_column<kWidth>() < cols) {
    slopes = load_repeating<kWidth>(arguments.slope, first_column<kWidth>(), channels);
  }
  float* const columns = channels == cols ? arguments.dslope : columns_to_fold(scratch, cols);
  sum_columns<kWidth>(
      rows, cols, scratch, columns, [&](std::int64_t row, std::int64_t col, float* sum) {
        const std::int64_t at = row * cols + col;
        const Pack<kWidth> x = load_pack<kWidth>(arguments.x + at);
        Pack<kWidth> gradient = load_pack<kWidth>(arguments.dy + at);
        AE_UNROLL
        for (int i = 0; i < kWidth; ++i) {
          sum[i] += prelu::slope_gradient(x.value[i], gradient.value[i]);
          gradient.value[i] = prelu::input_gradient(x.value[i], slopes.value[i], gradient.value[i]);
        }
        if (arguments.dx != nullptr) store_pack<kWidth>(arguments.dx + at, gradient);
      });
  if (channels == cols) return;
  if (!is_last_block(scratch.counters + gridDim.x, gridDim.x * gridDim.y)) return;
  fold_columns(columns, cols, channels, arguments.dslope);
}

}  // namespace

void launch(const PreluForward& op, LaunchContext& context) {
  const std::int64_t count = op.x.size();
  const std::int64_t channels = op.slope.size();
  if (count == 0) return;
  if (packs_of_four(count, op.x.data, op.y.data)) {
    const LaunchShape shape{blocks_for(count, kThreads * 4, kMaxBlocks), dim3(kThreads)};
    AE_LAUNCH(prelu_kernel<4>, shape, context, op.x.data, op.slope.data, op.y.data, count,
              channels);
  } else {
    const LaunchShape shape{blocks_for(count, kThreads, kMaxBlocks), dim3(kThreads)};
    AE_LAUNCH(prelu_kernel<1>, shape, context, op.x.data, op.slope.data, op.y.data, count,
              channels);
  }
}

void launch(const PreluBackward& op, LaunchContext& context) {
  const std::int64_t channels = op.slope.size();
  const std::int64_t cols = columns_of_repeats(op.x.cols, channels);
  if (cols == 0) return;
  const std::int64_t rows = op.x.size() / cols;
  const Scratch scratch = context.scratch(column_sum_scratch(rows, cols));
  const Arguments arguments{.x = op.x.data,
                            .slope = op.slope.data,
                            .dy = op.dy.data,
                            .dslope = op.dslope.data,
                            .dx = op.dx.data};
  const float* const sums = channels == cols ? op.dslope.data : scratch.columns;
  if (packs_of_four(cols, op.x.data, op.dy.data, op.dx.data, sums, scratch.columns)) {
    AE_LAUNCH(prelu_gradient_kernel<4>, column_sum_shape(rows, cols, 4), context, arguments, rows,
              cols, channels, scratch);
  } else {
    AE_LAUNCH(prelu_gradient_kernel<1>, column_sum_shape(rows, cols, 1), context, arguments, rows,
              cols, channels, scratch);
  }
}

}  // namespace ae::AE_DEVICE_NAMESPACE
