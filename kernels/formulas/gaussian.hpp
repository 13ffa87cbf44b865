#pragma once

#include <cstdint>

#include "formulas/host_device.hpp"
#include "formulas/math.hpp"

/// The Gaussian code with mean μ and λ = ln σ², written once for every device. Its divergence from
/// the standard normal is a sum of what μ and what λ contribute.
namespace ae::gaussian {

AE_HOST_DEVICE float sample(float mu, float lambda, float normal) {
  return mu + math::exp(0.5F * lambda) * normal;
}

/// ½·μ²
AE_HOST_DEVICE float divergence_of_mean(float mu) {
  return 0.5F * (mu * mu);
}

/// ½·(e^λ - 1 - λ)
AE_HOST_DEVICE float divergence_of_variance(float lambda) {
  return 0.5F * math::exp_above_tangent(lambda);
}

AE_HOST_DEVICE float divergence(float mu, float lambda) {
  return divergence_of_mean(mu) + divergence_of_variance(lambda);
}

/// dμ and dλ, `weight` what the column's divergence weighs.
AE_HOST_DEVICE float mean_gradient(float mu, float dz, float weight) {
  return dz + weight * mu;
}
AE_HOST_DEVICE float variance_gradient(float lambda, float dz, float normal, float weight) {
  return 0.5F * (dz * normal * math::exp(0.5F * lambda) + weight * math::expm1(lambda));
}

/// What the divergence weighs in step number `step`.
AE_HOST_DEVICE float warmed_up(float scale, std::int64_t step, std::int64_t warm_up_steps) {
  if (step + 1 >= warm_up_steps) return scale;
  return scale * (static_cast<float>(step + 1) / static_cast<float>(warm_up_steps));
}

}  // namespace ae::gaussian
