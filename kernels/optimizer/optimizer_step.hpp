#pragma once

#include <cstdint>
#include <string_view>

#include "ae/optimizer.hpp"

#include "common/operation.hpp"
#include "core/operand.hpp"
#include "core/tensor.hpp"
#include "formulas/optimizers.hpp"

namespace ae {

/// An optimiser's step over a flat parameter buffer, as step number *step + 1; then *step is one
/// more. `first` and `second` are the numbers it keeps, as many as optimizer_states() says, in the
/// order of its rule; the others are left out.
///   η = learning_rates[*step mod steps_per_epoch], or the options' where `learning_rates` is left
///       out,
///   g = gradients·*gradient_scale, or the gradients without one,
///   average ← d·average + (1-d)·parameters, of the new ones, where `average` is there.
struct OptimizerStep {
  static constexpr std::string_view kName = "update";

  OptimizerOptions options{};
  Matrix parameters{};
  ConstMatrix gradients{};
  Matrix first{};
  Matrix second{};
  Tensor<std::int64_t> step{};
  ConstMatrix learning_rates{};  ///< (steps_per_epoch)
  std::int64_t steps_per_epoch = 1;
  ConstMatrix gradient_scale{};
  Matrix average{};
  float average_decay = 0;  ///< d

  static void operands(auto& op, auto&& visit) {
    visit(in_out("parameters"), op.parameters);
    visit(in("gradients"), op.gradients);
    visit(in_out("first state"), op.first);
    visit(in_out("second state"), op.second);
    visit(in_out("step"), op.step);
    visit(in("learning rates"), op.learning_rates);
    visit(in("gradient scale"), op.gradient_scale);
    visit(in_out("average"), op.average);
  }
  void check() const {
    const int states = optimizer_states(options.kind);
    require(gradients.size() == parameters.size(), kName, "a gradient is missing");
    require((states < 1 || first.size() == parameters.size()) &&
                (states < 2 || second.size() == parameters.size()),
            kName, "a state is missing");
    require(!average.exists() || average.size() == parameters.size(), kName,
            "the average differs in size");
    require(step.size() == 1, kName, "there is no step counter");
    require(!learning_rates.exists() || learning_rates.size() == steps_per_epoch, kName,
            "there is not one learning rate a step");
  }
};

AE_OPERATION(OptimizerStep)

}  // namespace ae
