#pragma once

#include <cstdint>
#include <string_view>

#include "ae/value_range.hpp"

namespace ae {

/// Elementwise functions after a layer's affine map.
///   identity    z                      sigmoid   1/(1+e^-z)
///   relu        max(z, 0)              tanh      (e^z - e^-z)/(e^z + e^-z)
///   leaky_relu  max(z, 0.01·z)         softplus  ln(1+e^z)
///   elu         z, below 0: e^z - 1    silu      z/(1+e^-z)
///   gelu        z·Φ(z), Φ the normal distribution's cumulative function, exact
/// The constants are PyTorch's defaults.
enum class Activation : std::uint8_t {
  identity,
  relu,
  sigmoid,
  tanh,
  leaky_relu,
  elu,
  gelu,
  silu,
  softplus
};

std::string_view to_string(Activation activation);
/// @throws UsageError naming the known ones.
Activation parse_activation(std::string_view name);

/// The least and the largest value that an activation makes or comes near; infinite where it has
/// none.
ValueRange output_range(Activation activation);

}  // namespace ae
