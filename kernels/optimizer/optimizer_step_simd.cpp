// Compiled once for each instruction set, which AE_ISA names: see kernels/cpu/vector.hpp.

#include "optimizer/optimizer_step_simd.hpp"

namespace ae::cpu::AE_ISA {

namespace {

template <typename Rule, bool kScaled, bool kAveraged>
void optimize(const OptimizerStretch& stretch) {
  // Copies: the stores below cannot alias them.
  const optimizers::StepRates rates = stretch.rates;
  const std::int64_t count = stretch.count;
  float* parameters = stretch.parameters;
  const float* gradients = stretch.gradients;
  float* first = stretch.first;
  float* second = stretch.second;
  float* average = stretch.average;
  const float average_decay = stretch.average_decay;
  float scale = 1.0F;
  if constexpr (kScaled) scale = *stretch.gradient_scale;
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    float first_state = 0.0F;
    float second_state = 0.0F;
    if constexpr (Rule::kStates > 0) first_state = first[i];
    if constexpr (Rule::kStates > 1) second_state = second[i];
    float gradient = gradients[i];
    if constexpr (kScaled) gradient *= scale;
    const float moved = Rule::updated(parameters[i], gradient, first_state, second_state, rates);
    parameters[i] = moved;
    if constexpr (Rule::kStates > 0) first[i] = first_state;
    if constexpr (Rule::kStates > 1) second[i] = second_state;
    if constexpr (kAveraged) average[i] = optimizers::averaged(average[i], moved, average_decay);
  }
}

void optimize(const OptimizerStretch& stretch) {
  const bool is_scaled = stretch.gradient_scale != nullptr;
  const bool is_averaged = stretch.average != nullptr;
  for_optimizer(stretch.optimizer, [&]<typename Rule>() {
    if (is_scaled && is_averaged) {
      optimize<Rule, true, true>(stretch);
    } else if (is_scaled) {
      optimize<Rule, true, false>(stretch);
    } else if (is_averaged) {
      optimize<Rule, false, true>(stretch);
    } else {
      optimize<Rule, false, false>(stretch);
    }
  });
}

}  // namespace

const OptimizerStepSimd optimizer_step_simd{optimize};

}  // namespace ae::cpu::AE_ISA
