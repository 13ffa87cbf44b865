#pragma once

#include <cmath>
#include <cstdint>

#include "formulas/host_device.hpp"
#include "formulas/math.hpp"
#include "formulas/philox.hpp"

/// Normal random numbers, the same on every device to within rounding.
namespace ae {

struct NormalPair {
  float first;
  float second;
};

/// Two independent numbers of mean 0 and variance 1 from two words: a radius √(-2·ln u) and an
/// angle 2π·v, with u in (0, 1], so that there is a logarithm, and v in [0, 1), of 24 bits each. No
/// number is larger than √(48·ln 2) = 5.77. Each is within 1e-6 of the exact formula's. Source: Box
/// & Muller, "A note on the generation of random normal deviates", 1958.
AE_HOST_DEVICE NormalPair normal_pair(std::uint32_t radius_word, std::uint32_t angle_word) {
  const float radius = sqrtf(-2.0F * math::log_unit(to_unit_float(radius_word) + 0x1p-24F));
  const math::SineCosine angle = math::sincos_turns(to_unit_float(angle_word));
  return {radius * angle.cosine, radius * angle.sine};
}

/// Normal number `number` < 2^34 of a stream: a block of four words makes four of them, words 0 and
/// 1 the first two.
AE_HOST_DEVICE float normal_at(const RandomStream& stream, std::uint64_t number) {
  const Philox::Words words = stream.words(static_cast<std::uint32_t>(number / 4));
  const bool is_of_second_pair = number % 4 >= 2;
  const NormalPair pair = normal_pair(is_of_second_pair ? words.word[2] : words.word[0],
                                      is_of_second_pair ? words.word[3] : words.word[1]);
  return number % 2 == 0 ? pair.first : pair.second;
}

}  // namespace ae
