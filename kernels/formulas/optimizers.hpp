#pragma once

#include "ae/optimizer.hpp"

#include "formulas/choice.hpp"
#include "formulas/host_device.hpp"
#include "formulas/math.hpp"

/// The optimisers' rules, each written once for every device: what one step does to a parameter w,
/// given its gradient g and up to two numbers that the optimiser keeps for it. The formulas are
/// documented at ae::Optimizer.
///
/// To add one: an enumerator in ae/train.hpp, a struct here, and its name in `Optimizers`.
namespace ae::optimizers {

/// What a rule is told: the options, and what changes from step to step.
struct StepRates {
  float learning_rate;
  float adam_rate;  ///< η·√(1-β₂ᵗ)/(1-β₁ᵗ) for step number t
  float beta1;
  float beta2;
  float epsilon;
  float momentum;
  float rho;
  float weight_decay;
};

/// All but adam_rate, which is the caller's to compute for each step, with the learning rate where
/// that changes.
inline StepRates constant_rates(const OptimizerOptions& options) {
  return {.learning_rate = options.learning_rate,
          .adam_rate = 0,
          .beta1 = options.beta1,
          .beta2 = options.beta2,
          .epsilon = options.epsilon,
          .momentum = options.momentum,
          .rho = options.rho,
          .weight_decay = options.weight_decay};
}

/// d·average + (1-d)·w, written so that the average of what does not move does not, either.
AE_HOST_DEVICE float averaged(float average, float w, float d) {
  return average + (1.0F - d) * (w - average);
}

/// What scales gradients whose squares sum up to `squares` down to the norm `max_norm`. NaN stays.
AE_HOST_DEVICE float clip_scale(double squares, float max_norm) {
  const double scale = static_cast<double>(max_norm) / (sqrt(squares) + 1e-6);
  return scale >= 1 ? 1.0F : static_cast<float>(scale);
}

/// ½·λ·w² beside the loss: its gradient.
AE_HOST_DEVICE float with_decay(float g, float w, const StepRates& rates) {
  return g + rates.weight_decay * w;
}

AE_HOST_DEVICE float adam_change(float g, float& m, float& v, const StepRates& rates) {
  m = rates.beta1 * m + (1.0F - rates.beta1) * g;
  v = rates.beta2 * v + (1.0F - rates.beta2) * (g * g);
  return rates.adam_rate * m / (sqrtf(v) + rates.epsilon);
}

/// m, v: the decaying means of g and g².
struct Adam {
  static constexpr Optimizer kKind = Optimizer::adam;
  static constexpr const char* kName = "adam";
  static constexpr int kStates = 2;
  AE_HOST_DEVICE static float updated(float w, float g, float& m, float& v,
                                      const StepRates& rates) {
    return w - adam_change(with_decay(g, w, rates), m, v, rates);
  }
};

/// The weight decays by itself and not through the moments.
struct AdamW {
  static constexpr Optimizer kKind = Optimizer::adamw;
  static constexpr const char* kName = "adamw";
  static constexpr int kStates = 2;
  AE_HOST_DEVICE static float updated(float w, float g, float& m, float& v,
                                      const StepRates& rates) {
    return (w - rates.learning_rate * rates.weight_decay * w) - adam_change(g, m, v, rates);
  }
};

/// velocity: the decaying sum of the gradients; the gradients alone without momentum.
struct Sgd {
  static constexpr Optimizer kKind = Optimizer::sgd;
  static constexpr const char* kName = "sgd";
  static constexpr int kStates = 1;
  AE_HOST_DEVICE static float updated(float w, float g, float& velocity, float& /*none*/,
                                      const StepRates& rates) {
    velocity = rates.momentum * velocity + with_decay(g, w, rates);
    return w - rates.learning_rate * velocity;
  }
};

/// Looks ahead along the velocity.
struct Nesterov {
  static constexpr Optimizer kKind = Optimizer::nesterov;
  static constexpr const char* kName = "nesterov";
  static constexpr int kStates = 1;
  AE_HOST_DEVICE static float updated(float w, float g, float& velocity, float& /*none*/,
                                      const StepRates& rates) {
    const float decayed = with_decay(g, w, rates);
    velocity = rates.momentum * velocity + decayed;
    return w - rates.learning_rate * (decayed + rates.momentum * velocity);
  }
};

/// v: the decaying mean of g².
struct RmsProp {
  static constexpr Optimizer kKind = Optimizer::rmsprop;
  static constexpr const char* kName = "rmsprop";
  static constexpr int kStates = 1;
  AE_HOST_DEVICE static float updated(float w, float g, float& v, float& /*none*/,
                                      const StepRates& rates) {
    const float decayed = with_decay(g, w, rates);
    v = rates.rho * v + (1.0F - rates.rho) * (decayed * decayed);
    return w - rates.learning_rate * decayed / (sqrtf(v) + rates.epsilon);
  }
};

/// v, u: the decaying means of g² and of the squared changes.
struct Adadelta {
  static constexpr Optimizer kKind = Optimizer::adadelta;
  static constexpr const char* kName = "adadelta";
  static constexpr int kStates = 2;
  AE_HOST_DEVICE static float updated(float w, float g, float& v, float& u,
                                      const StepRates& rates) {
    const float decayed = with_decay(g, w, rates);
    v = rates.rho * v + (1.0F - rates.rho) * (decayed * decayed);
    const float change = sqrtf(u + rates.epsilon) / sqrtf(v + rates.epsilon) * decayed;
    u = rates.rho * u + (1.0F - rates.rho) * (change * change);
    return w - rates.learning_rate * change;
  }
};

/// All of them, in the order in which help lists them.
using Optimizers = FormulaList<Adam, AdamW, Sgd, Nesterov, RmsProp, Adadelta>;

}  // namespace ae::optimizers

namespace ae {

/// Calls body.template operator()<Rule>() for the optimiser at hand.
template <typename Body>
[[gnu::always_inline]] inline void for_optimizer(Optimizer optimizer, const Body& body) {
  for_formula(optimizer, optimizers::Optimizers{}, body);
}

/// How many numbers it keeps for each parameter.
inline int optimizer_states(Optimizer optimizer) {
  int states = 0;
  for_optimizer(optimizer, [&]<typename Rule>() { states = Rule::kStates; });
  return states;
}

}  // namespace ae
