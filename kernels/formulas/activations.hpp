#pragma once

#include <cstdint>

#include "ae/activation.hpp"

#include "formulas/choice.hpp"
#include "formulas/host_device.hpp"
#include "formulas/math.hpp"

/// The activations, each written once for every device: its name, y = f(z), and its slope f'(z).
///
/// The slope is a function of the output y where it can be, so that the backward pass needs the
/// outputs alone. Where it cannot (f is not one-to-one), `kSlopeFromInput` is true, slope takes z,
/// and the forward pass keeps z beside y (see DenseForward::z).
///
/// To add one: an enumerator in ae/activation.hpp, a struct here, and its name in `Activations`.
namespace ae::activations {

struct Identity {
  static constexpr Activation kKind = Activation::identity;
  static constexpr const char* kName = "identity";
  static constexpr bool kSlopeFromInput = false;
  AE_HOST_DEVICE static float value(float z) { return z; }
  AE_HOST_DEVICE static float slope(float /*y*/) { return 1.0F; }
};

struct Relu {
  static constexpr Activation kKind = Activation::relu;
  static constexpr const char* kName = "relu";
  static constexpr bool kSlopeFromInput = false;
  AE_HOST_DEVICE static float value(float z) { return z < 0.0F ? 0.0F : z; }
  AE_HOST_DEVICE static float slope(float y) { return y > 0.0F ? 1.0F : 0.0F; }
};

/// The slope below zero is PyTorch's default.
struct LeakyRelu {
  static constexpr Activation kKind = Activation::leaky_relu;
  static constexpr const char* kName = "leaky_relu";
  static constexpr bool kSlopeFromInput = false;
  static constexpr float kNegativeSlope = 0.01F;
  AE_HOST_DEVICE static float value(float z) { return z < 0.0F ? kNegativeSlope * z : z; }
  AE_HOST_DEVICE static float slope(float y) { return y > 0.0F ? 1.0F : kNegativeSlope; }
};

/// With α = 1, and so e^z = y + 1 below zero.
struct Elu {
  static constexpr Activation kKind = Activation::elu;
  static constexpr const char* kName = "elu";
  static constexpr bool kSlopeFromInput = false;
  AE_HOST_DEVICE static float value(float z) {
    const float below = math::expm1_nonpositive(z < 0.0F ? z : 0.0F);
    return z < 0.0F ? below : z;
  }
  AE_HOST_DEVICE static float slope(float y) { return y < 0.0F ? y + 1.0F : 1.0F; }
};

/// z·Φ(z), exact: not the approximation by tanh. f' = Φ(z) + z·φ(z).
struct Gelu {
  static constexpr Activation kKind = Activation::gelu;
  static constexpr const char* kName = "gelu";
  static constexpr bool kSlopeFromInput = true;
  AE_HOST_DEVICE static float value(float z) { return z * math::normal_cdf(z); }
  AE_HOST_DEVICE static float slope(float z) {
    constexpr float kInverseRootTwoPi = 0.398942280F;
    return math::normal_cdf(z) + z * (kInverseRootTwoPi * math::exp_nonpositive(-0.5F * z * z));
  }
};

/// z·s(z) with the sigmoid s, also called swish. f' = s + z·s·(1 - s).
struct Silu {
  static constexpr Activation kKind = Activation::silu;
  static constexpr const char* kName = "silu";
  static constexpr bool kSlopeFromInput = true;
  AE_HOST_DEVICE static float value(float z) { return z * math::sigmoid(z); }
  AE_HOST_DEVICE static float slope(float z) {
    const float s = math::sigmoid(z);
    return s + z * (s * (1.0F - s));
  }
};

struct Tanh {
  static constexpr Activation kKind = Activation::tanh;
  static constexpr const char* kName = "tanh";
  static constexpr bool kSlopeFromInput = false;
  AE_HOST_DEVICE static float value(float z) { return math::tanh(z); }
  AE_HOST_DEVICE static float slope(float y) { return 1.0F - y * y; }
};

struct Sigmoid {
  static constexpr Activation kKind = Activation::sigmoid;
  static constexpr const char* kName = "sigmoid";
  static constexpr bool kSlopeFromInput = false;
  AE_HOST_DEVICE static float value(float z) { return math::sigmoid(z); }
  AE_HOST_DEVICE static float slope(float y) { return y * (1.0F - y); }
};

/// ln(1 + e^z); its slope is the sigmoid of z, 1 - e^-y.
struct Softplus {
  static constexpr Activation kKind = Activation::softplus;
  static constexpr const char* kName = "softplus";
  static constexpr bool kSlopeFromInput = false;
  AE_HOST_DEVICE static float value(float z) {
    return (z < 0.0F ? 0.0F : z) + math::log1p_unit(math::exp_nonpositive(-fabsf(z)));
  }
  AE_HOST_DEVICE static float slope(float y) { return -math::expm1_nonpositive(-y); }
};

/// All of them, in the order in which help lists them.
using Activations =
    FormulaList<Relu, LeakyRelu, Elu, Gelu, Silu, Tanh, Sigmoid, Softplus, Identity>;

/// f'(z) by a formula, given both z and y = f(z).
template <typename Formula>
AE_HOST_DEVICE float slope_of(const Formula& /*formula*/, float z, float y) {
  return Formula::slope(Formula::kSlopeFromInput ? z : y);
}

/// An activation that is chosen as a kernel runs. Every thread chooses the same, which costs a GPU
/// next to nothing, and spares compiling the kernel for each of them.
struct Any {
  Activation activation;

  [[nodiscard]] AE_HOST_DEVICE float value(float z) const { return value_among(z, Activations{}); }
  [[nodiscard]] AE_HOST_DEVICE float slope(float z, float y) const {
    return slope_among(z, y, Activations{});
  }

 private:
  template <typename... Formulas>
  [[nodiscard]] AE_HOST_DEVICE float value_among(float z, FormulaList<Formulas...> /*all*/) const {
    float y = 0.0F;
    ((activation == Formulas::kKind ? static_cast<void>(y = Formulas::value(z)) : void()), ...);
    return y;
  }
  template <typename... Formulas>
  [[nodiscard]] AE_HOST_DEVICE float slope_among(float z, float y,
                                                 FormulaList<Formulas...> /*all*/) const {
    float slope = 0.0F;
    ((activation == Formulas::kKind ? static_cast<void>(slope = slope_of(Formulas{}, z, y))
                                    : void()),
     ...);
    return slope;
  }
};

AE_HOST_DEVICE float slope_of(const Any& any, float z, float y) {
  return any.slope(z, y);
}

}  // namespace ae::activations

namespace ae {

/// Calls body.template operator()<Formula>() for the activation at hand.
template <typename Body>
[[gnu::always_inline]] inline void for_activation(Activation activation, const Body& body) {
  for_formula(activation, activations::Activations{}, body);
}

/// Whether the backward pass needs the inputs of this activation.
inline bool slope_from_input(Activation activation) {
  bool result = false;
  for_activation(activation, [&]<typename Formula>() { result = Formula::kSlopeFromInput; });
  return result;
}

}  // namespace ae
