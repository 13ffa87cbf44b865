#pragma once

#include <cmath>
#include <cstdint>

#include "host_device.hpp"

/// The scalar formulas of training, written once for every backend. None branches on its data, so
/// that the compiler vectorises the loops they stand in. Only +, -, ·, / and sqrt are used: with
/// those rounded as IEEE 754 says, devices differ by no more than where they fuse a multiply-add.
namespace ae::math {

/// e^x for x ≤ 0, to 1 ulp or so. Below -87, where e^x leaves float's normal range, it stays at
/// e^-87; NaN gives NaN.
///   x = n·ln 2 + r with |r| ≤ ln 2 / 2, e^x = 2ⁿ·e^r; e^r by a minimax polynomial (error 1e-8).
AE_HOST_DEVICE float exp_nonpositive(float x) {
  constexpr float kLog2E = 1.44269504088896341F;
  constexpr float kLn2High = 0.693359375F;  // exact in 9 bits: n·kLn2High does not round
  constexpr float kLn2Low = -2.12194440e-4F;
  constexpr float kRoundToInteger = 12582912.0F;  // 1.5·2²³: adding it leaves no fraction bits
  const float bounded = x < -87.0F ? -87.0F : x;
  const float shifted = bounded * kLog2E + kRoundToInteger;
  const float n = shifted - kRoundToInteger;
  const float r = (bounded - n * kLn2High) - n * kLn2Low;
  const float r2 = r * r;
  const float q =
      (0.5F + 0.16666577F * r) + r2 * ((0.04166646F + 0.00836318F * r) + r2 * 0.00139336F);
  const float exp_r = (1.0F + r) + r2 * q;
  // shifted's low mantissa bits hold n as an integer; into the exponent field with them.
  const std::uint32_t power = (__builtin_bit_cast(std::uint32_t, shifted) + 127U) << 23U;
  return exp_r * __builtin_bit_cast(float, power);
}

/// ln(1 + e) for 0 ≤ e ≤ 1, as e times a minimax polynomial of ln(1 + e)/e (error 3e-8 before
/// rounding). It is summed in pairs (Estrin's scheme): a chain of eight multiply-adds, each waiting
/// for the one before, would take longer than everything else.
AE_HOST_DEVICE float log1p_unit(float e) {
  const float e2 = e * e;
  const float e4 = e2 * e2;
  const float p01 = 0.99999997F - 0.499994931F * e;
  const float p23 = 0.333190967F - 0.248429816F * e;
  const float p45 = 0.191060045F - 0.136632411F * e;
  const float p67 = 0.0782258973F - 0.0295052058F * e;
  const float low = p01 + p23 * e2;
  const float high = (p45 + p67 * e2) + 0.00523268615F * e4;
  return e * (low + high * e4);
}

AE_HOST_DEVICE float sigmoid(float z) {
  const float e = exp_nonpositive(-fabsf(z));
  return (z < 0.0F ? e : 1.0F) / (1.0F + e);
}

/// Near zero, where 1 - e^-2|z| cancels, by its Taylor series (error 1e-9 at the seam).
AE_HOST_DEVICE float tanh(float z) {
  const float a = fabsf(z);
  const float e = exp_nonpositive(-2.0F * a);
  const float far = (1.0F - e) / (1.0F + e);
  const float a2 = a * a;
  float p = 62.0F / 2835.0F;
  p = p * a2 - 17.0F / 315.0F;
  p = p * a2 + 2.0F / 15.0F;
  p = p * a2 - 1.0F / 3.0F;
  const float near = a + a * (a2 * p);
  const float result = a < 0.2F ? near : far;
  return z < 0.0F ? -result : result;
}

/// e^x - 1 for x ≤ 0, near zero, where the difference cancels, by its Taylor series (error 2e-7
/// of it at the seam).
AE_HOST_DEVICE float expm1_nonpositive(float x) {
  const float far = exp_nonpositive(x) - 1.0F;
  float p = 1.0F / 720.0F;
  p = p * x + 1.0F / 120.0F;
  p = p * x + 1.0F / 24.0F;
  p = p * x + 1.0F / 6.0F;
  p = p * x + 0.5F;
  const float near = x + x * (x * p);
  return x > -0.3F ? near : far;
}

/// Φ(z), the standard normal distribution's cumulative function, with a relative error of some
/// 1e-6·(1 + z²) in the lower tail: for a = |z| and t = 1/(1 + 0.3a), Φ(-a) = t·e^(P(t) - a²/2),
/// with a polynomial P fitted over 0 ≤ a ≤ 13 (error 3e-8 before rounding).
AE_HOST_DEVICE float normal_cdf(float z) {
  const float a = fabsf(z);
  const float t = 1.0F / (1.0F + 0.3F * a);
  const float t2 = t * t;
  const float t4 = t2 * t2;
  const float p01 = -2.12317491F + 1.00586843F * t;
  const float p23 = 0.353651375F + 0.459611595F * t;
  const float p45 = -1.03695726F + 2.18063593F * t;
  const float p67 = -3.21812844F + 2.51813054F * t;
  const float p89 = -0.989172101F + 0.156387642F * t;
  const float p = (p01 + p23 * t2) + t4 * ((p45 + p67 * t2) + t4 * p89);
  const float tail = t * exp_nonpositive(p - 0.5F * a * a);
  const float far = z < 0.0F ? tail : 1.0F - tail;

  const float a2 = a * a;
  float q = -9.44465627e-6F;
  q = q * a2 + 1.15434688e-4F;
  q = q * a2 - 1.18732822e-3F;
  q = q * a2 + 9.97355701e-3F;
  q = q * a2 - 6.64903801e-2F;
  q = q * a2 + 0.398942280F;
  const float near = 0.5F + z * q;
  return a < 0.8F ? near : far;
}

}  // namespace ae::math
