// noisy[e] = noise(clean[e]) for `count` values, of which the first is number `first` of its
// stream; in place where both are the same memory.
//
// A thread takes the four values that draw from one Philox block, with 16 bytes an access where
// their numbers and addresses allow it. Forty 32-bit products make the words; for normal numbers,
// two logarithms, roots, sines and cosines come on top. Grid-stride.
//
// Traffic: 8 bytes a value, 4 read and 4 written.

#include "batch/corrupt.hpp"
#include "common/launch_context.hpp"
#include "common/pack.cuh"
#include "common/random_address.hpp"
#include "formulas/noise.hpp"
#include "formulas/normal.hpp"
#include "formulas/philox.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

constexpr int kThreads = 256;
constexpr int kMostBlocks = 4096;
constexpr int kDraws = 4;  // a Philox block

template <typename Formula>
__device__ auto draws_of(const RandomStream& stream, std::uint32_t block) {
  const Philox::Words words = stream.words(block);
  if constexpr (Formula::kDraw == noises::Draw::normal) {
    const NormalPair low = normal_pair(words.word[0], words.word[1]);
    const NormalPair high = normal_pair(words.word[2], words.word[3]);
    return Pack<kDraws>{{low.first, low.second, high.first, high.second}};
  } else {
    return PackOf<std::uint32_t, kDraws>{
        {words.word[0], words.word[1], words.word[2], words.word[3]}};
  }
}

template <typename Formula, int kWidth>
__global__ void __launch_bounds__(kThreads)
    corrupt_kernel(float amount, RandomAddress random, const float* clean, float* noisy,
                   std::int64_t count) {
  const RandomStream stream = stream_of_step(random.seed, RandomPurpose::noise, random.step);
  const std::int64_t first_block = random.first / kDraws;
  const std::int64_t before = random.first % kDraws;  // draws of the first block that go elsewhere
  const std::int64_t blocks = (before + count + kDraws - 1) / kDraws;
  const std::int64_t stride = std::int64_t{gridDim.x} * kThreads;
  for (std::int64_t block = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; block < blocks;
       block += stride) {
    const auto draws = draws_of<Formula>(stream, static_cast<std::uint32_t>(first_block + block));
    const std::int64_t at = block * kDraws - before;
    if constexpr (kWidth == kDraws) {
      Pack<kWidth> value = load_pack<kWidth>(clean + at);
      AE_UNROLL
      for (int i = 0; i < kWidth; ++i) {
        value.value[i] = Formula::value(value.value[i], amount, draws.value[i]);
      }
      store_pack<kWidth>(noisy + at, value);
    } else {
      AE_UNROLL
      for (int i = 0; i < kDraws; ++i) {
        if (at + i < 0 || at + i >= count) continue;
        noisy[at + i] = Formula::value(clean[at + i], amount, draws.value[i]);
      }
    }
  }
}

}  // namespace

void launch(const CorruptBatch& op, LaunchContext& context) {
  const std::int64_t count = op.clean.size();
  const float* const clean = op.clean.data;
  float* const noisy = op.noisy.data;
  if (count == 0 || (op.noise.kind == Noise::none && noisy == clean)) return;
  const RandomAddress random{op.seed, op.step.data, op.first_row * op.clean.cols};
  const LaunchShape shape{blocks_for(count + kDraws, kThreads * kDraws, kMostBlocks),
                          dim3(kThreads)};
  noises::for_noise(op.noise.kind, [&]<typename Formula>() {
    if (random.first % kDraws == 0 && packs_of_four(count, clean, noisy)) {
      AE_LAUNCH((corrupt_kernel<Formula, kDraws>), shape, context, op.noise.amount, random, clean,
                noisy, count);
    } else {
      AE_LAUNCH((corrupt_kernel<Formula, 1>), shape, context, op.noise.amount, random, clean, noisy,
                count);
    }
  });
}

}  // namespace ae::AE_DEVICE_NAMESPACE
