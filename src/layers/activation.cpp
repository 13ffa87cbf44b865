#include "ae/activation.hpp"

#include <limits>

#include "formulas/activations.hpp"
#include "layers/checks.hpp"
#include "layers/names.hpp"

namespace ae {

namespace {

constexpr auto kActivations = names_of(activations::Activations{});

}  // namespace

std::string_view to_string(Activation activation) {
  return name_of(kActivations, activation);
}

Activation parse_activation(std::string_view name) {
  return value_of(kActivations, "activation", name);
}

void require_known(Activation activation) {
  require_known(kActivations, "activation", activation);
}

ValueRange output_range(Activation activation) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  switch (activation) {
    case Activation::identity:
    case Activation::leaky_relu:
      return {-kInfinity, kInfinity};
    case Activation::relu:
    case Activation::softplus:
      return {0, kInfinity};
    case Activation::sigmoid:
      return {0, 1};
    case Activation::tanh:
      return {-1, 1};
    case Activation::elu:
      return {-1, kInfinity};
    // These two have a minimum, where their slopes are 0.
    case Activation::gelu:
      return {-0.169971F, kInfinity};
    case Activation::silu:
      return {-0.278465F, kInfinity};
  }
  return {-kInfinity, kInfinity};
}

}  // namespace ae
