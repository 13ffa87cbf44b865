#pragma once

#include <cstdint>

#include "ae/optimizer.hpp"

#include "cpu/instruction_set.hpp"
#include "formulas/optimizers.hpp"

namespace ae::cpu {

/// OptimizerStep for some of the parameters.
struct OptimizerStretch {
  Optimizer optimizer;
  optimizers::StepRates rates;
  std::int64_t count;
  float* parameters;
  const float* gradients;
  float* first;
  float* second;
  const float* gradient_scale;
  float* average;
  float average_decay;
};

struct OptimizerStepSimd {
  void (*optimize)(const OptimizerStretch& stretch);
};
AE_SIMD(OptimizerStepSimd, optimizer_step_simd)

}  // namespace ae::cpu
