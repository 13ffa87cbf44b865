#pragma once

#include "ae/train.hpp"

#include "activations.hpp"
#include "host_device.hpp"
#include "math.hpp"

/// The losses of one element, each written once for every device: the loss and its derivative with
/// respect to the pre-activation z, for an output y = f(z) and its target t.
///
/// A formula comes in two parts, so that the CPU can run the first over a stretch of elements
/// before the second: the dependent operations of both together are more than a core overlaps.
///
/// To add one: an enumerator in ae/train.hpp, a struct here, and its line in `for_loss` and in
/// `kLosses` (src/train/train.cpp).
namespace ae::losses {

struct LossAndGradient {
  float loss;
  float gradient;
};

/// BCE of sigmoid(z) against t without ever forming ln(0), given e = e^-|z|:
///   loss = max(z, 0) - z·t + ln(1 + e),  d loss / dz = sigmoid(z) - t.
struct BinaryCrossEntropy {
  AE_HOST_DEVICE static float prepare(float z) { return math::exp_nonpositive(-fabsf(z)); }

  AE_HOST_DEVICE static LossAndGradient at(float z, float e, float t) {
    const float probability = (z < 0.0F ? e : 1.0F) / (1.0F + e);
    const float positive_part = z < 0.0F ? 0.0F : z;
    return {(positive_part - z * t) + math::log1p_unit(e), probability - t};
  }
};

/// (y - t)² and 2·(y - t)·f'(z).
template <typename Output>
struct SquaredError {
  Output output;

  [[nodiscard]] AE_HOST_DEVICE float prepare(float z) const { return output.value(z); }

  [[nodiscard]] AE_HOST_DEVICE LossAndGradient at(float z, float y, float t) const {
    const float difference = y - t;
    return {difference * difference, 2.0F * difference * slope_of(output, z, y)};
  }
};

/// |y - t| and sign(y - t)·f'(z), 0 where y = t.
template <typename Output>
struct AbsoluteError {
  Output output;

  [[nodiscard]] AE_HOST_DEVICE float prepare(float z) const { return output.value(z); }

  [[nodiscard]] AE_HOST_DEVICE LossAndGradient at(float z, float y, float t) const {
    const float difference = y - t;
    const float sign = difference > 0.0F ? 1.0F : difference < 0.0F ? -1.0F : difference;
    return {fabsf(difference), sign * slope_of(output, z, y)};
  }
};

/// With d = y - t and δ = 1: d²/2 where |d| ≤ 1, |d| - 1/2 beyond; min(max(d, -1), 1)·f'(z).
template <typename Output>
struct Huber {
  Output output;

  [[nodiscard]] AE_HOST_DEVICE float prepare(float z) const { return output.value(z); }

  [[nodiscard]] AE_HOST_DEVICE LossAndGradient at(float z, float y, float t) const {
    const float difference = y - t;
    const float size = fabsf(difference);
    const float bounded = difference > 1.0F ? 1.0F : difference < -1.0F ? -1.0F : difference;
    return {size > 1.0F ? size - 0.5F : 0.5F * difference * difference,
            bounded * slope_of(output, z, y)};
  }
};

/// Calls body(formula) for the loss at hand on an output activation. BCE works on logits, so it has
/// the output's sigmoid within it.
template <typename Output, typename Body>
[[gnu::always_inline]] inline void for_loss(Loss loss, const Output& output, const Body& body) {
  switch (loss) {
    case Loss::bce:
      return body(BinaryCrossEntropy{});
    case Loss::mse:
      return body(SquaredError<Output>{output});
    case Loss::mae:
      return body(AbsoluteError<Output>{output});
    case Loss::huber:
      return body(Huber<Output>{output});
  }
}

}  // namespace ae::losses
