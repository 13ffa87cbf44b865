#pragma once

#include <cmath>
#include <cstdint>

#include "ae/sparsity.hpp"

#include "formulas/host_device.hpp"
#include "formulas/math.hpp"

/// What a sparse code costs, see ae::SparsityOptions, written once for every device.
namespace ae::sparsity {

/// The penalties of a batch of N rows. What a batch costs is N times what SparsityOptions writes,
/// since losses are summed over samples.
struct Rates {
  float l1 = 0;           ///< a value's cost is l1·|y|
  float l1_gradient = 0;  ///< l1/N
  double kl = 0;          ///< a column's cost is N·kl·KL
  float kl_gradient = 0;  ///< kl/N
  float rho = 0;
  float rows = 0;  ///< N
  bool kept_largest = false;
};

inline Rates rates_of(const SparsityOptions& options, bool kept_largest, std::int64_t rows) {
  const auto count = static_cast<float>(rows);
  return {.l1 = options.l1,
          .l1_gradient = options.l1 / count,
          .kl = static_cast<double>(options.kl) * static_cast<double>(rows),
          .kl_gradient = options.kl / count,
          .rho = options.rho,
          .rows = count,
          .kept_largest = kept_largest};
}

/// ρ̂ of a column, from its sum: kept away from 0 and 1, where KL is infinite.
AE_HOST_DEVICE float mean_activation(float sum, const Rates& rates) {
  const float mean = sum / rates.rows;
  const float not_zero = mean < 1e-6F ? 1e-6F : mean;
  return not_zero > 1.0F - 1e-6F ? 1.0F - 1e-6F : not_zero;
}

/// KL(ρ ‖ ρ̂).
AE_HOST_DEVICE float divergence(float rho, float mean) {
  const float of_ones = rho * (math::log_unit(rho) - math::log_unit(mean));
  const float of_zeros = (1.0F - rho) * (math::log_unit(1.0F - rho) - math::log_unit(1.0F - mean));
  return of_ones + of_zeros;
}

/// kl·∂KL/∂y for every y of a column, ∂ρ̂/∂y = 1/N. (1-ρ)/(1-ρ̂) - ρ/ρ̂ is the same as
/// (ρ̂-ρ)/(ρ̂·(1-ρ̂)), which does not cancel where ρ̂ is near ρ.
AE_HOST_DEVICE float mean_gradient(float mean, const Rates& rates) {
  return rates.kl_gradient * ((mean - rates.rho) / (mean * (1.0F - mean)));
}

/// dz of a value y, of_mean its column's mean_gradient().
AE_HOST_DEVICE float gradient(float y, float dy, float slope, float of_mean, const Rates& rates) {
  const float of_size = y > 0.0F ? rates.l1_gradient : y < 0.0F ? -rates.l1_gradient : 0.0F;
  const float dz = ((dy + of_size) + of_mean) * slope;
  return rates.kept_largest && y == 0.0F ? 0.0F : dz;
}

}  // namespace ae::sparsity
