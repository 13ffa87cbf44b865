#pragma once

#include <cmath>
#include <cstdint>

#include "formulas/host_device.hpp"

/// The scalar formulas of training, written once for every device. None branches on its data, so
/// that the compiler vectorises the loops they stand in. Only +, -, ·, / and sqrt are used: with
/// those rounded as IEEE 754 says, devices differ by no more than where they fuse a multiply-add.
namespace ae::math {

/// e^x for -87 ≤ x ≤ 88, where it and 2ⁿ below are normal floats, to 1 ulp or so; NaN gives NaN.
///   x = n·ln 2 + r with |r| ≤ ln 2 / 2, e^x = 2ⁿ·e^r; e^r by a minimax polynomial (error 1e-8).
AE_HOST_DEVICE float exp_bounded(float x) {
  constexpr float kLog2E = 1.44269504088896341F;
  constexpr float kLn2High = 0.693359375F;  // exact in 9 bits: n·kLn2High does not round
  constexpr float kLn2Low = -2.12194440e-4F;
  constexpr float kRoundToInteger = 12582912.0F;  // 1.5·2²³: adding it leaves no fraction bits
  const float shifted = x * kLog2E + kRoundToInteger;
  const float n = shifted - kRoundToInteger;
  const float r = (x - n * kLn2High) - n * kLn2Low;
  const float r2 = r * r;
  const float q =
      (0.5F + 0.16666577F * r) + r2 * ((0.04166646F + 0.00836318F * r) + r2 * 0.00139336F);
  const float exp_r = (1.0F + r) + r2 * q;
  // shifted's low mantissa bits hold n as an integer; into the exponent field with them.
  const std::uint32_t power = (__builtin_bit_cast(std::uint32_t, shifted) + 127U) << 23U;
  return exp_r * __builtin_bit_cast(float, power);
}

/// e^x for x ≤ 0. Below -87, where it leaves float's normal range, it stays at e^-87.
AE_HOST_DEVICE float exp_nonpositive(float x) {
  return exp_bounded(x < -87.0F ? -87.0F : x);
}

/// e^x. It stays at e^-87 below that, and at e^88 ≈ 1.65e38 above, so that it is finite for any x
/// but NaN.
AE_HOST_DEVICE float exp(float x) {
  const float from_above = x > 88.0F ? 88.0F : x;
  return exp_bounded(from_above < -87.0F ? -87.0F : from_above);
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

/// e^x - 1 near zero, where the difference cancels, by its Taylor series: error 2e-7 of it at
/// |x| = 0.3, where others go on.
AE_HOST_DEVICE float expm1_series(float x) {
  float p = 1.0F / 720.0F;
  p = p * x + 1.0F / 120.0F;
  p = p * x + 1.0F / 24.0F;
  p = p * x + 1.0F / 6.0F;
  p = p * x + 0.5F;
  return x + x * (x * p);
}

/// e^x - 1 for x ≤ 0.
AE_HOST_DEVICE float expm1_nonpositive(float x) {
  const float far = exp_nonpositive(x) - 1.0F;
  const float near = expm1_series(x);
  return x > -0.3F ? near : far;
}

/// e^x - 1 for any x, as exp has e^x: the same near zero.
AE_HOST_DEVICE float expm1(float x) {
  const float far = exp(x) - 1.0F;
  const float near = expm1_series(x);
  return fabsf(x) < 0.3F ? near : far;
}

/// e^x - 1 - x ≥ 0, as exp has e^x. Near zero, where the differences cancel, as x² times a minimax
/// polynomial (error 4e-9 of it).
AE_HOST_DEVICE float exp_above_tangent(float x) {
  const float far = (exp(x) - 1.0F) - x;
  const float x2 = x * x;
  const float x4 = x2 * x2;
  const float p01 = 0.499999998F + 0.166666670F * x;
  const float p23 = 0.0416667345F + 0.00833331028F * x;
  const float p45 = 1.38854520e-3F + 1.98440236e-4F * x;
  const float p67 = 2.53548293e-5F + 2.77228341e-6F * x;
  const float p = (p01 + p23 * x2) + x4 * (p45 + p67 * x2);
  return fabsf(x) < 1.0F ? x2 * p : far;
}

/// ln(x) for normal floats 0 < x ≤ 1, to 1 ulp or so.
///   x = 2ⁿ·(1 + m) with √½ ≤ 1 + m < √2, ln x = n·ln 2 + ln(1 + m); ln(1 + m) = m - m²/2 + m³·P(m)
///   with a minimax polynomial P (error 6e-9 of it).
AE_HOST_DEVICE float log_unit(float x) {
  constexpr std::uint32_t kRootHalf = 0x3F3504F3U;  // the bits of √½
  constexpr float kLn2High = 0.693359375F;
  constexpr float kLn2Low = -2.12194440e-4F;
  const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, x);
  const std::uint32_t above_root = bits - kRootHalf;  // whose upper bits are n, in two's complement
  const auto n = static_cast<float>(static_cast<std::int32_t>(above_root) >> 23);
  const float m = __builtin_bit_cast(float, bits - (above_root & 0xFF800000U)) - 1.0F;
  const float m2 = m * m;
  const float m4 = m2 * m2;
  const float p01 = 0.333333317F - 0.250008210F * m;
  const float p23 = 0.200012268F - 0.166233575F * m;
  const float p45 = 0.142017580F - 0.131601805F * m;
  const float p67 = 0.127615773F - 0.0763450291F * m;
  const float p = (p01 + p23 * m2) + m4 * (p45 + p67 * m2);
  const float curve = n * kLn2Low + (m2 * m * p - 0.5F * m2);
  return n * kLn2High + (m + curve);
}

/// The sine and cosine of 2π·t.
struct SineCosine {
  float sine;
  float cosine;
};

/// Of t turns, 0 ≤ t < 1, each within 1.2e-7 (and 2 ulp of the smaller one).
///   4t = q + f with an integer q and |f| ≤ ½, both exact; sin and cos of f quarter turns by
///   minimax polynomials (errors 5e-9, 6e-11), put in their places by q mod 4.
AE_HOST_DEVICE SineCosine sincos_turns(float t) {
  constexpr float kRoundToInteger = 12582912.0F;
  const float shifted = 4.0F * t + kRoundToInteger;
  const std::uint32_t q = __builtin_bit_cast(std::uint32_t, shifted);  // its low bits, modulo 4
  const float f = 4.0F * t - (shifted - kRoundToInteger);
  const float f2 = f * f;
  const float sine =
      f * (1.57079632F + f2 * (-0.645963479F + f2 * (0.0796802281F - 0.00460217699F * f2)));
  const float cosine =
      1.0F +
      f2 * (-1.23370054F + f2 * (0.253669244F + f2 * (-0.0208602885F + 0.000904021666F * f2)));
  const bool is_odd = (q & 1U) != 0;
  const std::uint32_t sine_sign = (q & 2U) << 30U;
  const std::uint32_t cosine_sign = ((q + 1U) & 2U) << 30U;
  const std::uint32_t sine_bits = __builtin_bit_cast(std::uint32_t, is_odd ? cosine : sine);
  const std::uint32_t cosine_bits = __builtin_bit_cast(std::uint32_t, is_odd ? sine : cosine);
  return {__builtin_bit_cast(float, sine_bits ^ sine_sign),
          __builtin_bit_cast(float, cosine_bits ^ cosine_sign)};
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
