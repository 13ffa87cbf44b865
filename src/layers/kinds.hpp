#pragma once

#include <cstddef>
#include <utility>
#include <variant>

#include "ae/layers.hpp"

namespace ae {

/// Calls visit.template operator()<Spec>() for every kind of layer.
template <typename Visit>
void for_each_kind(const Visit& visit) {
  [&]<std::size_t... kPlaces>(std::index_sequence<kPlaces...> /*places*/) {
    (visit.template operator()<std::variant_alternative_t<kPlaces, LayerSpec>>(), ...);
  }
  (std::make_index_sequence<std::variant_size_v<LayerSpec>>());
}

}  // namespace ae
