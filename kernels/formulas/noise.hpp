#pragma once

#include <cstdint>

#include "ae/noise.hpp"

#include "formulas/choice.hpp"
#include "formulas/host_device.hpp"
#include "formulas/philox.hpp"

/// The kinds of noise, each written once for every device: what becomes of a value x, given the
/// amount and a random draw of its own. Words decide the same everywhere: u < a compares two floats
/// that nothing rounds.
namespace ae::noises {

enum class Draw : std::uint8_t { nothing, word, normal };

struct None {
  static constexpr Noise kKind = Noise::none;
  static constexpr Draw kDraw = Draw::nothing;
  AE_HOST_DEVICE static float value(float x, float /*amount*/, std::uint32_t /*word*/) { return x; }
};

struct Gaussian {
  static constexpr Noise kKind = Noise::gaussian;
  static constexpr Draw kDraw = Draw::normal;
  AE_HOST_DEVICE static float value(float x, float amount, float normal) {
    return x + amount * normal;
  }
};

struct Masking {
  static constexpr Noise kKind = Noise::masking;
  static constexpr Draw kDraw = Draw::word;
  AE_HOST_DEVICE static float value(float x, float amount, std::uint32_t word) {
    return to_unit_float(word) < amount ? 0.0F : x;
  }
};

/// The word's upper 24 bits are u; which of the two it becomes is its lowest bit, of which u knows
/// nothing.
struct SaltAndPepper {
  static constexpr Noise kKind = Noise::salt_and_pepper;
  static constexpr Draw kDraw = Draw::word;
  AE_HOST_DEVICE static float value(float x, float amount, std::uint32_t word) {
    const float extreme = (word & 1U) != 0 ? 1.0F : 0.0F;
    return to_unit_float(word) < amount ? extreme : x;
  }
};

using Noises = FormulaList<None, Gaussian, Masking, SaltAndPepper>;

/// Calls body.template operator()<Formula>() for the noise of that kind.
template <typename Body>
[[gnu::always_inline]] inline void for_noise(Noise kind, const Body& body) {
  for_formula(kind, Noises{}, body);
}

}  // namespace ae::noises
