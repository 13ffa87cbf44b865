#pragma once

#include <array>
#include <string_view>

#include "ae/layers/layer_kind.hpp"

namespace ae {

/// y = x where x > 0, a·x elsewhere, with a slope a that is learned, one a unit of a vector or a
/// channel of an image; it begins at 0.25, as in PyTorch. Source: He, Zhang, Ren & Sun, "Delving
/// deep into rectifiers", ICCV 2015.
struct PreluSpec {
  static constexpr std::string_view kForm = "prelu";
  static constexpr std::array<std::string_view, 1> kWords{"prelu"};
  static constexpr LayerTraits kTraits{};

  static PreluSpec parse(LayerWords& words);
  [[nodiscard]] std::string text() const;
  [[nodiscard]] Shape output_shape(const Shape& input) const;
  [[nodiscard]] std::vector<LayerTensor> tensors(const Shape& input) const;
  [[nodiscard]] std::unique_ptr<Layer> make(const LayerPlace& place) const;
  bool operator==(const PreluSpec&) const = default;
};

}  // namespace ae
