#pragma once

#include <array>
#include <string_view>

#include "ae/layers/layer_kind.hpp"

namespace ae {

/// The same values as one vector.
struct FlattenSpec {
  static constexpr std::string_view kForm = "flatten";
  static constexpr std::array<std::string_view, 1> kWords{"flatten"};
  static constexpr LayerTraits kTraits{};

  static FlattenSpec parse(LayerWords& words);
  [[nodiscard]] std::string text() const;
  [[nodiscard]] Shape output_shape(const Shape& input) const;
  [[nodiscard]] std::vector<LayerTensor> tensors(const Shape& input) const;
  [[nodiscard]] std::unique_ptr<Layer> make(const LayerPlace& place) const;
  bool operator==(const FlattenSpec&) const = default;
};

}  // namespace ae
