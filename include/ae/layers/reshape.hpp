#pragma once

#include <array>
#include <string_view>

#include "ae/layers/layer_kind.hpp"

namespace ae {

/// The same values in another shape.
struct ReshapeSpec {
  Shape shape;

  static constexpr std::string_view kForm = "reshape HxWxC";
  static constexpr std::array<std::string_view, 1> kWords{"reshape"};
  static constexpr LayerTraits kTraits{};

  static ReshapeSpec parse(LayerWords& words);
  [[nodiscard]] std::string text() const;
  [[nodiscard]] Shape output_shape(const Shape& input) const;
  [[nodiscard]] std::vector<LayerTensor> tensors(const Shape& input) const;
  [[nodiscard]] std::unique_ptr<Layer> make(const LayerPlace& place) const;
  bool operator==(const ReshapeSpec&) const = default;
};

}  // namespace ae
