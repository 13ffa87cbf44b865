#pragma once

#include <cstdint>
#include <string_view>

namespace ae {

/// What is done to a training sample x before the encoder sees it; the target stays x.
///   gaussian         x + a·N(0, 1), not clipped
///   masking          each value becomes 0 with probability a
///   salt_and_pepper  each value becomes, with probability a, 0 or 1, either as likely
/// Source: Vincent et al., "Stacked denoising autoencoders", JMLR 2010, section 3.3.
enum class Noise : std::uint8_t { none, gaussian, masking, salt_and_pepper };

std::string_view to_string(Noise noise);
/// @throws UsageError naming the known ones.
Noise parse_noise(std::string_view name);

struct NoiseOptions {
  Noise kind = Noise::none;
  float amount = 0;  ///< a: a standard deviation ≥ 0, or a probability in [0, 1]
};

}  // namespace ae
