// One Adam step for all parameters of a model, which lie in one flat buffer; the formula is at
// ae::AdamOptions. Step number t = *step + 1, and *step becomes t once every block has read it.
//
// Grid-stride, 16 bytes a thread and access: four streams in, three out, nothing but the square
// root and the division to compute, so memory decides how long it takes.
//
// Traffic: 28 bytes a parameter, 16 read and 12 written.

#include <cmath>

#include "kernels.hpp"
#include "last_block.cuh"
#include "math.hpp"
#include "pack.cuh"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

constexpr int kThreads = 256;
constexpr int kMostBlocks = 1024;

/// What the kernel needs of AdamOptions; logarithms, since 1 - βᵗ = -expm1(t·ln β) loses nothing
/// to cancellation while βᵗ is near one, which 1 - powf(β, t) does.
struct AdamConstants {
  float learning_rate;
  float beta1;
  float beta2;
  float epsilon;
  float log_beta1;
  float log_beta2;
};

template <int kWidth>
__global__ void __launch_bounds__(kThreads)
    adam_kernel(AdamConstants constants, AdamArguments arguments, std::int64_t count) {
  const auto t = static_cast<float>(*arguments.step + 1);
  const float correction1 = -expm1f(t * constants.log_beta1);
  const float correction2 = -expm1f(t * constants.log_beta2);
  const math::AdamRates rates{constants.beta1, constants.beta2, constants.epsilon,
                              constants.learning_rate * sqrtf(correction2) / correction1};

  const std::int64_t stride = std::int64_t{gridDim.x} * kThreads * kWidth;
  for (std::int64_t i = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * kWidth; i < count;
       i += stride) {
    const Pack<kWidth> gradient = load_pack<kWidth>(arguments.gradients + i);
    Pack<kWidth> m = load_pack<kWidth>(arguments.m + i);
    Pack<kWidth> v = load_pack<kWidth>(arguments.v + i);
    Pack<kWidth> weight = load_pack<kWidth>(arguments.parameters + i);
    for (int e = 0; e < kWidth; ++e) {
      m.value[e] = math::adam_first_moment(m.value[e], gradient.value[e], rates);
      v.value[e] = math::adam_second_moment(v.value[e], gradient.value[e], rates);
      weight.value[e] -= math::adam_change(m.value[e], v.value[e], rates);
    }
    store_pack<kWidth>(arguments.m + i, m);
    store_pack<kWidth>(arguments.v + i, v);
    store_pack<kWidth>(arguments.parameters + i, weight);
  }
  if (is_last_block(arguments.counter, gridDim.x) && threadIdx.x == 0) *arguments.step += 1;
}

}  // namespace

void adam(const AdamArguments& arguments, std::int64_t count, Stream stream) {
  const AdamOptions& options = arguments.options;
  const auto log_of = [](float beta) {
    return static_cast<float>(std::log(static_cast<double>(beta)));
  };
  const AdamConstants constants{options.learning_rate, options.beta1,
                                options.beta2,         options.epsilon,
                                log_of(options.beta1), log_of(options.beta2)};
  if (packs_of_four(count, arguments.parameters, arguments.gradients, arguments.m, arguments.v)) {
    const LaunchShape shape{blocks_for(count, kThreads * 4, kMostBlocks), dim3(kThreads)};
    AE_LAUNCH((adam_kernel<4>), shape, stream, constants, arguments, count);
  } else {
    const LaunchShape shape{blocks_for(count, kThreads, kMostBlocks), dim3(kThreads)};
    AE_LAUNCH((adam_kernel<1>), shape, stream, constants, arguments, count);
  }
}

}  // namespace ae::AE_DEVICE_NAMESPACE
