#pragma once

#include "ae/loss.hpp"

#include "formulas/activations.hpp"
#include "formulas/choice.hpp"
#include "formulas/host_device.hpp"
#include "formulas/math.hpp"

/// The losses of one element, each written once for every device: its names, the loss of an output
/// y for its target t, and the derivative with respect to y.
///
/// To add one: an enumerator in ae/train.hpp, a struct here, and its name in `Losses`.
namespace ae::losses {

/// In float, or in double for figures about data.
template <typename Number>
struct LossAndGradientOf {
  Number loss;
  Number gradient;
};
using LossAndGradient = LossAndGradientOf<float>;

/// BCE of sigmoid(z) against t, given e = e^-|z|, without ever forming ln(0); it has the output's
/// sigmoid within it, so its derivative is with respect to z:
///   loss = max(z, 0) - z·t + ln(1 + e),  d loss / dz = sigmoid(z) - t.
struct BinaryCrossEntropy {
  static constexpr Loss kKind = Loss::bce;
  static constexpr const char* kName = "bce";
  static constexpr const char* kTitle = "binary cross-entropy";

  AE_HOST_DEVICE static float prepare(float z) { return math::exp_nonpositive(-fabsf(z)); }

  AE_HOST_DEVICE static LossAndGradient at(float z, float e, float t) {
    const float probability = (z < 0.0F ? e : 1.0F) / (1.0F + e);
    const float positive_part = z < 0.0F ? 0.0F : z;
    return {(positive_part - z * t) + math::log1p_unit(e), probability - t};
  }
};

/// d² and 2·d, d = y - t.
struct SquaredError {
  static constexpr Loss kKind = Loss::mse;
  static constexpr const char* kName = "mse";
  static constexpr const char* kTitle = "squared error";

  template <typename Number>
  AE_HOST_DEVICE static LossAndGradientOf<Number> at(Number y, Number t) {
    const Number difference = y - t;
    return {difference * difference, 2 * difference};
  }
};

/// |d| and sign(d), 0 where d is.
struct AbsoluteError {
  static constexpr Loss kKind = Loss::mae;
  static constexpr const char* kName = "mae";
  static constexpr const char* kTitle = "absolute error";

  template <typename Number>
  AE_HOST_DEVICE static LossAndGradientOf<Number> at(Number y, Number t) {
    const Number difference = y - t;
    const Number sign = difference > 0 ? 1 : difference < 0 ? -1 : difference;
    return {difference < 0 ? -difference : difference, sign};
  }
};

/// With δ = 1: d²/2 where |d| ≤ 1, |d| - 1/2 beyond; min(max(d, -1), 1).
struct Huber {
  static constexpr Loss kKind = Loss::huber;
  static constexpr const char* kName = "huber";
  static constexpr const char* kTitle = "Huber loss";

  template <typename Number>
  AE_HOST_DEVICE static LossAndGradientOf<Number> at(Number y, Number t) {
    const Number difference = y - t;
    const Number size = difference < 0 ? -difference : difference;
    const Number bounded = difference > 1 ? 1 : difference < -1 ? -1 : difference;
    return {size > 1 ? size - Number(0.5) : Number(0.5) * difference * difference, bounded};
  }
};

/// -ln N(t; y, 1) = ½·(d² + ln 2π), and d.
struct Gaussian {
  static constexpr Loss kKind = Loss::gaussian;
  static constexpr const char* kName = "gaussian";
  static constexpr const char* kTitle = "negative log-likelihood of a Gaussian of variance 1";
  static constexpr double kLogTwoPi = 1.8378770664093454836;

  template <typename Number>
  AE_HOST_DEVICE static LossAndGradientOf<Number> at(Number y, Number t) {
    const Number difference = y - t;
    return {Number(0.5) * (difference * difference + Number(kLogTwoPi)), difference};
  }
};

/// All of them, in the order in which help lists them.
using Losses = FormulaList<BinaryCrossEntropy, SquaredError, AbsoluteError, Huber, Gaussian>;

/// A loss of y = f(z), as a function of z: its derivative goes through f.
///
/// It comes in two parts, so that the CPU can run the first over a stretch of elements before the
/// second: the dependent operations of both together are more than a core overlaps.
template <typename Formula, typename Output>
struct OfOutput {
  Output output;

  [[nodiscard]] AE_HOST_DEVICE float prepare(float z) const { return output.value(z); }

  [[nodiscard]] AE_HOST_DEVICE LossAndGradient at(float z, float y, float t) const {
    const LossAndGradient of_y = Formula::at(y, t);
    return {of_y.loss, of_y.gradient * slope_of(output, z, y)};
  }
};

/// Calls body(formula) for the loss at hand on an output activation, formula a function of z.
template <typename Output, typename Body>
[[gnu::always_inline]] inline void for_loss(Loss loss, const Output& output, const Body& body) {
  for_formula(loss, Losses{}, [&]<typename Formula>() {
    if constexpr (Formula::kKind == Loss::bce) {
      body(Formula{});
    } else {
      body(OfOutput<Formula, Output>{output});
    }
  });
}

}  // namespace ae::losses
