#pragma once

#include <cmath>

#include "formulas/host_device.hpp"

/// Layer and batch normalisation, written once for every device: x̂ = (x - μ)/√(σ² + ε) by the mean
/// and the variance of some values together, z = γ·x̂ + β, y = f(z).
namespace ae::normalization {

/// PyTorch's constants; Keras has 1e-3 and 0.01.
inline constexpr float kEpsilon = 1e-5F;
inline constexpr float kMomentum = 0.1F;

AE_HOST_DEVICE float inverse_deviation(float variance) {
  return 1.0F / sqrtf(variance + kEpsilon);
}

/// What some values are normalised by.
struct Scale {
  float mean;
  float inverse_deviation;
};

AE_HOST_DEVICE float normalized(float x, const Scale& scale) {
  return (x - scale.mean) * scale.inverse_deviation;
}

AE_HOST_DEVICE float affine(float normalized, float gamma, float beta) {
  return gamma * normalized + beta;
}

/// f'(z), of y = f(z) or, where it must be, of z, which is made again.
template <typename Formula>
AE_HOST_DEVICE float slope(float normalized, float gamma, float beta, float y) {
  if constexpr (Formula::kSlopeFromInput) {
    return Formula::slope(affine(normalized, gamma, beta));
  } else {
    return Formula::slope(y);
  }
}

/// ∂loss/∂x, given g = ∂loss/∂x̂ and the means of g and of g·x̂ over the values that were normalised
/// together: these are what moving x does to μ and to σ.
AE_HOST_DEVICE float input_gradient(float g, float mean_g, float normalized, float mean_product,
                                    const Scale& scale) {
  return scale.inverse_deviation * ((g - mean_g) - normalized * mean_product);
}

/// A running statistic after another batch's.
AE_HOST_DEVICE float running(float before, float of_batch) {
  return before + kMomentum * (of_batch - before);
}

/// σ²·N/(N - 1), what running variances are of; of one value, σ² itself.
AE_HOST_DEVICE float unbiased(float squares, float count) {
  return squares / (count > 1.0F ? count - 1.0F : 1.0F);
}

}  // namespace ae::normalization
