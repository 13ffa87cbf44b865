#pragma once

#include <cstdint>

#include "formulas/host_device.hpp"
#include "formulas/philox.hpp"

/// Dropout, written once for every device. Which values are dropped is the same everywhere: u <
/// rate compares two floats that nothing rounds.
namespace ae::dropout {

struct Rate {
  float dropped;  ///< the probability
  float scale;    ///< of what stays, 1/(1 - dropped)
};

AE_HOST_DEVICE Rate rate_of(float probability) {
  return {probability, 1.0F / (1.0F - probability)};
}

/// A value, or a value's gradient.
AE_HOST_DEVICE float value(float x, const Rate& rate, std::uint32_t word) {
  return to_unit_float(word) < rate.dropped ? 0.0F : rate.scale * x;
}

}  // namespace ae::dropout
