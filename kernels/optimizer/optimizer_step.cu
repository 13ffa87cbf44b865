// One optimiser step for all parameters of a model, which lie in one flat buffer; the formulas are
// at ae::Optimizer. Step number t = *step + 1, and *step becomes t once every block has read
// it.
//
// Grid-stride, 16 bytes a thread and access: streams in and out, and nothing but roots and
// divisions to compute, so memory decides how long it takes. Whether gradients are scaled and
// an average is kept is asked in the kernel, of which there would be four times as many else: all
// threads hear the same answer.
//
// Traffic: 12 bytes a parameter, 8 of them read, and 4 read and 4 written for each number it keeps.
// Besides, 4 are read and 4 written for an average.

#include <cmath>

#include "common/last_block.cuh"
#include "common/launch_context.hpp"
#include "common/pack.cuh"
#include "formulas/optimizers.hpp"
#include "optimizer/optimizer_step.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

constexpr int kThreads = 256;
/// On a multiprocessor: 64 registers a thread, which is enough. Left to itself, the compiler aims
/// for fewer on some architectures, and spills.
constexpr int kBlocksAtOnce = 4;
constexpr int kMostBlocks = 1024;

struct Arguments {
  float* parameters;
  const float* gradients;
  float* first;
  float* second;
  std::int64_t* step;
  const float* learning_rates;
  std::int64_t steps_per_epoch;
  const float* gradient_scale;
  float* average;
  float average_decay;
  unsigned* counter;
};

/// What the kernel needs besides the rates that stay the same; logarithms, since 1 - βᵗ =
/// -expm1(t·ln β) loses nothing to cancellation while βᵗ is near one, which 1 - powf(β, t) does.
struct Logarithms {
  float beta1;
  float beta2;
};

template <typename Rule, int kWidth>
__global__ void __launch_bounds__(kThreads, kBlocksAtOnce)
    optimizer_kernel(optimizers::StepRates rates, Logarithms log, Arguments arguments,
                     std::int64_t count) {
  const std::int64_t steps_done = *arguments.step;
  if (arguments.learning_rates != nullptr) {
    rates.learning_rate = arguments.learning_rates[steps_done % arguments.steps_per_epoch];
  }
  const auto t = static_cast<float>(steps_done + 1);
  const float correction1 = -expm1f(t * log.beta1);
  const float correction2 = -expm1f(t * log.beta2);
  rates.adam_rate = rates.learning_rate * sqrtf(correction2) / correction1;

  // Times one changes no bit.
  const float scale = arguments.gradient_scale == nullptr ? 1.0F : *arguments.gradient_scale;

  const std::int64_t stride = std::int64_t{gridDim.x} * kThreads * kWidth;
  for (std::int64_t i = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * kWidth; i < count;
       i += stride) {
    Pack<kWidth> gradient = load_pack<kWidth>(arguments.gradients + i);
    Pack<kWidth> weight = load_pack<kWidth>(arguments.parameters + i);
    Pack<kWidth> first{};
    Pack<kWidth> second{};
    if constexpr (Rule::kStates > 0) first = load_pack<kWidth>(arguments.first + i);
    if constexpr (Rule::kStates > 1) second = load_pack<kWidth>(arguments.second + i);
    AE_UNROLL
    for (int e = 0; e < kWidth; ++e) gradient.value[e] *= scale;
    for (int e = 0; e < kWidth; ++e) {
      weight.value[e] =
          Rule::updated(weight.value[e], gradient.value[e], first.value[e], second.value[e], rates);
    }
    if constexpr (Rule::kStates > 0) store_pack<kWidth>(arguments.first + i, first);
    if constexpr (Rule::kStates > 1) store_pack<kWidth>(arguments.second + i, second);
    store_pack<kWidth>(arguments.parameters + i, weight);
    if (arguments.average != nullptr) {
      Pack<kWidth> average = load_pack<kWidth>(arguments.average + i);
      AE_UNROLL
      for (int e = 0; e < kWidth; ++e) {
        average.value[e] =
            optimizers::averaged(average.value[e], weight.value[e], arguments.average_decay);
      }
      store_pack<kWidth>(arguments.average + i, average);
    }
  }
  if (is_last_block(arguments.counter, gridDim.x) && threadIdx.x == 0) *arguments.step += 1;
}

}  // namespace

void launch(const OptimizerStep& op, LaunchContext& context) {
  const OptimizerOptions& options = op.options;
  const std::int64_t count = op.parameters.size();
  const Arguments arguments{.parameters = op.parameters.data,
                            .gradients = op.gradients.data,
                            .first = op.first.data,
                            .second = op.second.data,
                            .step = op.step.data,
                            .learning_rates = op.learning_rates.data,
                            .steps_per_epoch = op.steps_per_epoch,
                            .gradient_scale = op.gradient_scale.data,
                            .average = op.average.data,
                            .average_decay = op.average_decay,
                            .counter = context.scratch({.counters = 1}).counters};
  const optimizers::StepRates rates = optimizers::constant_rates(options);
  const auto log_of = [](float beta) {
    return static_cast<float>(std::log(static_cast<double>(beta)));
  };
  const Logarithms log{log_of(options.beta1), log_of(options.beta2)};
  for_optimizer(options.kind, [&]<typename Rule>() {
    if (packs_of_four(count, arguments.parameters, arguments.gradients, arguments.first,
                      arguments.second, arguments.average)) {
      const LaunchShape shape{blocks_for(count, kThreads * 4, kMostBlocks), dim3(kThreads)};
      AE_LAUNCH((optimizer_kernel<Rule, 4>), shape, context, rates, log, arguments, count);
    } else {
      const LaunchShape shape{blocks_for(count, kThreads, kMostBlocks), dim3(kThreads)};
      AE_LAUNCH((optimizer_kernel<Rule, 1>), shape, context, rates, log, arguments, count);
    }
  });
}

}  // namespace ae::AE_DEVICE_NAMESPACE
