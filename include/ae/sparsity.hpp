#pragma once

namespace ae {

/// What a code y costs beside the reconstruction, each added to the loss as it is reported:
///   l1·(1/N)·Σᵢ Σⱼ|yᵢⱼ|                 over a batch of N samples, as Keras's activity regulariser
///   kl·Σⱼ KL(ρ ‖ ρ̂ⱼ), ρ̂ⱼ = (1/N)·Σᵢ yᵢⱼ,  KL = ρ·ln(ρ/ρ̂ⱼ) + (1-ρ)·ln((1-ρ)/(1-ρ̂ⱼ))
/// Source of the second: Ng, "Sparse autoencoder", CS294A lecture notes; MATLAB's trainAutoencoder.
struct SparsityOptions {
  float l1 = 0;       ///< ≥ 0
  float kl = 0;       ///< ≥ 0; needs a code within (0, 1), a sigmoid's
  float rho = 0.05F;  ///< ρ, the target of each unit's mean activation, in (0, 1)

  [[nodiscard]] bool is_on() const { return l1 > 0 || kl > 0; }
};

}  // namespace ae
