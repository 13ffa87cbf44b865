// to[e] = 0 where word e of the stream says that value e is dropped, scale·from[e] elsewhere: a
// dropout layer's values, or with the same words again, their gradients. See ae::DropoutMask.
//
// A thread takes the four values that draw from one Philox block, with 16 bytes an access where the
// addresses allow it. Forty 32-bit products make the words: a mask that was kept would cost a byte
// of traffic each way and memory besides. Grid-stride.
//
// Traffic: 8 bytes a value, 4 read and 4 written.

#include "common/launch_context.hpp"
#include "common/pack.cuh"
#include "common/random_address.hpp"
#include "dropout/dropout.hpp"
#include "formulas/dropout.hpp"
#include "formulas/philox.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

constexpr int kThreads = 256;
constexpr int kMostBlocks = 4096;
constexpr int kDraws = 4;  // a Philox block

template <int kWidth>
__global__ void __launch_bounds__(kThreads)
    dropout_kernel(dropout::Rate rate, RandomAddress random, std::uint32_t layer, const float* from,
                   float* to, std::int64_t count) {
  const RandomStream stream =
      stream_of_step(random.seed, RandomPurpose::dropout, random.step, layer);
  const std::int64_t blocks = (count + kDraws - 1) / kDraws;
  const std::int64_t stride = std::int64_t{gridDim.x} * kThreads;
  for (std::int64_t block = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; block < blocks;
       block += stride) {
    const Philox::Words words = stream.words(static_cast<std::uint32_t>(block));
    const std::int64_t at = block * kDraws;
    if constexpr (kWidth == kDraws) {
      Pack<kWidth> value = load_pack<kWidth>(from + at);
      AE_UNROLL
      for (int i = 0; i < kWidth; ++i) {
        value.value[i] = dropout::value(value.value[i], rate, words.word[i]);
      }
      store_pack<kWidth>(to + at, value);
    } else {
      AE_UNROLL
      for (int i = 0; i < kDraws; ++i) {
        if (at + i >= count) continue;
        to[at + i] = dropout::value(from[at + i], rate, words.word[i]);
      }
    }
  }
}

void drop(const DropoutMask& mask, const ConstMatrix& from, const Matrix& to,
          LaunchContext& context) {
  const std::int64_t count = to.size();
  if (count == 0) return;
  const dropout::Rate rate = dropout::rate_of(mask.rate);
  const RandomAddress random{mask.seed, mask.step.data};
  const LaunchShape shape{blocks_for(count, kThreads * kDraws, kMostBlocks), dim3(kThreads)};
  if (packs_of_four(count, from.data, to.data)) {
    AE_LAUNCH(dropout_kernel<kDraws>, shape, context, rate, random, mask.layer, from.data, to.data,
              count);
  } else {
    AE_LAUNCH(dropout_kernel<1>, shape, context, rate, random, mask.layer, from.data, to.data,
              count);
  }
}

}  // namespace

void launch(const DropoutForward& op, LaunchContext& context) {
  drop(op.mask, op.x, op.y, context);
}

void launch(const DropoutBackward& op, LaunchContext& context) {
  drop(op.mask, op.dy, op.dx, context);
}

}  // namespace ae::AE_DEVICE_NAMESPACE
