#include <algorithm>
#include <cmath>

#include "cpu/planner.hpp"
#include "optimizer/optimizer_step.hpp"
#include "optimizer/optimizer_step_simd.hpp"

namespace ae::cpu {

namespace {

constexpr std::int64_t kParametersPerTask = 4096;

}  // namespace

void plan(const OptimizerStep& op, Planner& planner) {
  const OptimizerStepSimd& simd = optimizer_step_simd(planner.instruction_set());
  planner.update([op, &simd](Workers& workers, const StepMemory& /*memory*/) {
    const OptimizerOptions& options = op.options;
    optimizers::StepRates rates = optimizers::constant_rates(options);
    if (op.learning_rates.exists()) {
      rates.learning_rate = op.learning_rates.data[*op.step.data % op.steps_per_epoch];
    }
    const auto t = static_cast<double>(++*op.step.data);
    rates.adam_rate =
        static_cast<float>(static_cast<double>(rates.learning_rate) *
                           std::sqrt(1 - std::pow(static_cast<double>(options.beta2), t)) /
                           (1 - std::pow(static_cast<double>(options.beta1), t)));
    workers.for_each(pieces(op.gradients.size(), kParametersPerTask), [&](std::int64_t task) {
      const std::int64_t begin = task * kParametersPerTask;
      const auto from = [begin](float* state) {
        return state == nullptr ? nullptr : state + begin;
      };
      simd.optimize({.optimizer = options.kind,
                     .rates = rates,
                     .count = std::min(kParametersPerTask, op.parameters.size() - begin),
                     .parameters = op.parameters.data + begin,
                     .gradients = op.gradients.data + begin,
                     .first = from(op.first.data),
                     .second = from(op.second.data),
                     .gradient_scale = op.gradient_scale.data,
                     .average = from(op.average.data),
                     .average_decay = op.average_decay});
    });
  });
}

}  // namespace ae::cpu
