#pragma once

#include <bit>
#include <cstdint>

namespace ae::data {

/// A number of IEEE 754's binary16 format as files hold it: a sign, five bits of exponent, ten of
/// significand.
struct Half {
  std::uint16_t bits = 0;
};

/// The same number; every binary16 number is a binary32 number.
inline float to_float(Half half) {
  constexpr unsigned kExponentMask = 0x1F;
  constexpr unsigned kBiasDifference = 127 - 15;
  constexpr float kSmallest = 0x1p-24F;  // the unit of subnormal numbers
  const unsigned sign = half.bits >> 15U;
  const unsigned exponent = (half.bits >> 10U) & kExponentMask;
  const unsigned significand = half.bits & 0x3FFU;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(significand) * kSmallest;
    return sign == 0 ? magnitude : -magnitude;
  }
  // An infinity's or NaN's exponent is the largest in both formats.
  const unsigned wide = exponent == kExponentMask ? 0xFFU : exponent + kBiasDifference;
  return std::bit_cast<float>(static_cast<std::uint32_t>(sign << 31U) |
                              static_cast<std::uint32_t>(wide << 23U) |
                              static_cast<std::uint32_t>(significand << 13U));
}

}  // namespace ae::data
