// sums[i] = Σ over columns of loss(z[i, :] + b, t[i, :]): evaluation, row by row.
//
// One block a row, its threads along the columns: contiguous accesses, 16 bytes a thread where the
// row length allows. In float over a thread's elements, in double from there on.
//
// Traffic: 8 bytes an element, all read.
// Besides, 8 are written a row. The bias, which every row reads again, is taken to come from cache.

#include "common/launch_context.hpp"
#include "common/pack.cuh"
#include "common/reduce.cuh"
#include "formulas/losses.hpp"
#include "loss/row_losses.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

constexpr int kThreads = 128;

template <typename Formula, int kWidth>
__global__ void __launch_bounds__(kThreads)
    row_losses_kernel(Formula formula, const float* z, const float* bias, const float* target,
                      double* sums, std::int64_t cols, std::int64_t channels) {
  const std::int64_t begin = std::int64_t{blockIdx.x} * cols;
  float loss = 0.0F;
  for (std::int64_t c = std::int64_t{threadIdx.x} * kWidth; c < cols; c += kThreads * kWidth) {
    const Pack<kWidth> logits = load_pack<kWidth>(z + begin + c);
    const Pack<kWidth> b =
        channels == cols ? load_pack<kWidth>(bias + c) : load_repeating<kWidth>(bias, c, channels);
    const Pack<kWidth> t = load_pack<kWidth>(target + begin + c);
    AE_UNROLL
    for (int i = 0; i < kWidth; ++i) {
      const float logit = logits.value[i] + b.value[i];
      loss += formula.at(logit, formula.prepare(logit), t.value[i]).loss;
    }
  }
  const double sum = block_sum<kThreads>(static_cast<double>(loss));
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

}  // namespace

void launch(const RowLosses& op, LaunchContext& context) {
  if (op.z.rows == 0) return;
  const std::int64_t cols = op.z.cols;
  const std::int64_t channels = op.channels();
  const float* const z = op.z.data;
  const float* const bias = op.bias.data;
  const float* const target = op.target.data;
  const float* const loaded_in_packs = channels == cols ? bias : nullptr;
  const LaunchShape shape{dim3(static_cast<unsigned>(op.z.rows)), dim3(kThreads)};
  const activations::Any output{op.activation};
  losses::for_loss(op.loss, output, [&]<typename Formula>(const Formula& formula) {
    if (packs_of_four(cols, z, loaded_in_packs, target)) {
      AE_LAUNCH((row_losses_kernel<Formula, 4>), shape, context, formula, z, bias, target,
                op.sums.data, cols, channels);
    } else {
      AE_LAUNCH((row_losses_kernel<Formula, 1>), shape, context, formula, z, bias, target,
                op.sums.data, cols, channels);
    }
  });
}

}  // namespace ae::AE_DEVICE_NAMESPACE
