#pragma once

#include "ae/model.hpp"

namespace ae {

/// Calls body.template operator()<kActivation>() for the activation at hand: from a value known
/// when the program runs to one that kernels are compiled for.
template <typename Body>
[[gnu::always_inline]] inline void for_activation(Activation activation, const Body& body) {
  switch (activation) {
    case Activation::identity:
      return body.template operator()<Activation::identity>();
    case Activation::relu:
      return body.template operator()<Activation::relu>();
    case Activation::sigmoid:
      return body.template operator()<Activation::sigmoid>();
    case Activation::tanh:
      return body.template operator()<Activation::tanh>();
  }
}

}  // namespace ae
