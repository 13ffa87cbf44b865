#pragma once

#include <cstdint>

#include "formulas/host_device.hpp"

namespace ae {

/// Floats in their order as unsigned integers, equal ones as equal: both zeros are one value, and
/// NaN is the largest. All in integers, so that denormals count wherever they are compared.
AE_HOST_DEVICE constexpr std::uint32_t ordered(std::uint32_t float_bits) {
  constexpr std::uint32_t kSign = 0x80000000U;
  constexpr std::uint32_t kInfinity = 0x7F800000U;
  const std::uint32_t magnitude = float_bits & ~kSign;
  const std::uint32_t in_order =
      float_bits == magnitude ? kSign + magnitude : kSign - magnitude;  // of -0: kSign too
  return magnitude > kInfinity ? 0xFFFFFFFFU : in_order;
}

}  // namespace ae
