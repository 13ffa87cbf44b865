// x[i, :] = source[row(i), :], bytes as value / 255.
//
// One block a row, its threads along the columns: both the reads, from a row that lies anywhere in
// the data set, and the writes are contiguous within the row. Four elements a thread (4 bytes in,
// 16 bytes out; or 16 and 16) where the row length allows.
//
// Traffic: 5 bytes an element of bytes or 8 of floats, 4 of them written.
// A row's index is not counted.

#include "batch/gather.hpp"
#include "batch/gather_rows.hpp"
#include "common/pack.cuh"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

constexpr int kThreads = 128;

__device__ float to_float(std::uint8_t byte) {
  return static_cast<float>(byte) / 255.0F;
}
__device__ float to_float(float value) {
  return value;
}

template <typename Element, int kWidth>
__global__ void __launch_bounds__(kThreads)
    gather_kernel(const Element* source, GatherRowsChosen chosen, float* x, std::int64_t cols) {
  const std::int64_t i = blockIdx.x;
  std::int64_t row = chosen.first_row + i;
  if (chosen.permutation != nullptr) {
    const std::int64_t batch = *chosen.step % chosen.steps_per_epoch;
    row = chosen.permutation[batch * chosen.batch_size + i];
  }
  const Element* from = source + row * cols;
  float* to = x + i * cols;
  for (std::int64_t c = std::int64_t{threadIdx.x} * kWidth; c < cols; c += kThreads * kWidth) {
    const PackOf<Element, kWidth> in = load_pack<kWidth>(from + c);
    Pack<kWidth> out;
    for (int e = 0; e < kWidth; ++e) out.value[e] = to_float(in.value[e]);
    store_pack<kWidth>(to + c, out);
  }
}

template <typename Element>
void gather(const Element* source, const GatherRowsChosen& chosen, float* x, std::int64_t rows,
            std::int64_t cols, LaunchContext& context) {
  const LaunchShape shape{dim3(static_cast<unsigned>(rows)), dim3(kThreads)};
  if (packs_of_four(cols, source, x)) {
    AE_LAUNCH((gather_kernel<Element, 4>), shape, context, source, chosen, x, cols);
  } else {
    AE_LAUNCH((gather_kernel<Element, 1>), shape, context, source, chosen, x, cols);
  }
}

}  // namespace

void gather(const GatherSource& source, const GatherRowsChosen& chosen, float* x, std::int64_t rows,
            std::int64_t cols, LaunchContext& context) {
  if (rows == 0 || cols == 0) return;
  if (source.bytes != nullptr) {
    gather(source.bytes, chosen, x, rows, cols, context);
  } else {
    gather(source.floats, chosen, x, rows, cols, context);
  }
}

void launch(const GatherBatch& op, LaunchContext& context) {
  if (context.gather_from_host(op)) return;
  gather({op.data->bytes(), op.data->floats()},
         {.permutation = op.permutation.data,
          .step = op.step.data,
          .steps_per_epoch = op.steps_per_epoch,
          .batch_size = op.batch_size},
         op.x.data, op.x.rows, op.x.cols, context);
}

void launch(const GatherRows& op, LaunchContext& context) {
  if (context.gather_from_host(op)) return;
  gather({op.data->bytes(), op.data->floats()}, {.first_row = op.first_row}, op.x.data, op.x.rows,
         op.x.cols, context);
}

}  // namespace ae::AE_DEVICE_NAMESPACE
