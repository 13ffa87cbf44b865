#pragma once

#include "formulas/host_device.hpp"

/// The parametric rectifier and its derivatives, see PreluForward.
namespace ae::prelu {

AE_HOST_DEVICE float value(float x, float slope) {
  return x > 0.0F ? x : slope * x;
}

AE_HOST_DEVICE float input_gradient(float x, float slope, float dy) {
  return x > 0.0F ? dy : slope * dy;
}

/// What one value adds to the gradient of its slope.
AE_HOST_DEVICE float slope_gradient(float x, float dy) {
  return x > 0.0F ? 0.0F : dy * x;
}

}  // namespace ae::prelu
