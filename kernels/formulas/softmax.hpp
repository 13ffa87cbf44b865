#pragma once

#include <cstdint>

#include "formulas/host_device.hpp"
#include "formulas/math.hpp"

/// Softmax and cross-entropy of one pixel, see SoftmaxLoss. All from the largest logit, so that no
/// power overflows.
namespace ae::softmax {

AE_HOST_DEVICE bool is_class(std::int32_t number, std::int64_t channels) {
  return number >= 0 && number < channels;
}

/// e^(logit - largest) ≤ 1; NaN where either is.
AE_HOST_DEVICE float power(float logit, float largest) {
  return math::exp_nonpositive(logit - largest);
}

/// `sum` ≥ 1 is that of the powers; NaN gives NaN, which log_unit() alone would not.
AE_HOST_DEVICE float loss(float class_logit, float largest, float sum) {
  return ((largest - class_logit) - math::log_unit(1.0F / sum)) + (sum - sum);
}

/// ∂loss/∂logit.
AE_HOST_DEVICE float gradient(float power, float sum, bool is_its_class) {
  return power / sum - (is_its_class ? 1.0F : 0.0F);
}

}  // namespace ae::softmax
