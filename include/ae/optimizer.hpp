#pragma once

#include <cstdint>
#include <string_view>

namespace ae {

/// What one step makes of a parameter w and its gradient g, with the numbers kept for it, zero at
/// first.
///   adam      m ← β₁m + (1-β₁)g,  v ← β₂v + (1-β₂)g²,
///             w ← w - η·√(1-β₂ᵗ)/(1-β₁ᵗ) · m/(√v + ε)
///             as Keras writes it (Kingma & Ba 2015, the form before section 2.1's end): ε is added
///             to the uncorrected √v. PyTorch adds it to the corrected one.
///   adamw     the same after w ← w - ηλw (Loshchilov & Hutter 2019)
///   sgd       b ← μb + g,  w ← w - ηb, as PyTorch writes it; without momentum for μ = 0
///   nesterov  b ← μb + g,  w ← w - η(g + μb) (Sutskever et al. 2013)
///   rmsprop   v ← ρv + (1-ρ)g²,  w ← w - η·g/(√v + ε)
///   adadelta  v ← ρv + (1-ρ)g²,  d = √(u + ε)/√(v + ε)·g,  u ← ρu + (1-ρ)d²,  w ← w - ηd
///             (Zeiler 2012 has η = 1)
/// Weight decay λ is ½λw² beside the loss, g + λw for g, except with adamw.
enum class Optimizer : std::uint8_t { adam, adamw, sgd, nesterov, rmsprop, adadelta };

std::string_view to_string(Optimizer optimizer);
/// @throws UsageError naming the known ones.
Optimizer parse_optimizer(std::string_view name);

/// Adam's defaults are Keras's. Others want a learning rate of their own, about 1 for sgd and
/// adadelta on images; adamw is adam until it is given a weight decay.
struct OptimizerOptions {
  Optimizer kind = Optimizer::adam;
  float learning_rate = 1e-3F;  ///< η > 0
  float beta1 = 0.9F;           ///< β₁, [0, 1)
  float beta2 = 0.999F;         ///< β₂, [0, 1)
  float epsilon = 1e-7F;        ///< ε > 0
  float momentum = 0.9F;        ///< μ, [0, 1)
  float rho = 0.9F;             ///< ρ, [0, 1)
  float weight_decay = 0;       ///< λ ≥ 0
};

}  // namespace ae
