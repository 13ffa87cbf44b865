#pragma once

#include <array>
#include <string_view>

#include "ae/layers/layer_kind.hpp"

namespace ae {

/// In training, each value is dropped (becomes zero) with probability `rate`, by itself, and those
/// that stay are divided by 1 - rate, so that a value's mean is what it was; afterwards nothing is
/// dropped. Source: Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov, "Dropout: a simple
/// way to prevent neural networks from overfitting", JMLR 15, 2014; scaled in training
/// ("inverted"), as every framework has it.
struct DropoutSpec {
  float rate = 0.5F;  ///< in [0, 1)

  static constexpr std::string_view kForm = "dropout P";
  static constexpr std::array<std::string_view, 1> kWords{"dropout"};
  static constexpr LayerTraits kTraits{};

  static DropoutSpec parse(LayerWords& words);
  [[nodiscard]] std::string text() const;
  [[nodiscard]] Shape output_shape(const Shape& input) const;
  [[nodiscard]] std::vector<LayerTensor> tensors(const Shape& input) const;
  [[nodiscard]] std::unique_ptr<Layer> make(const LayerPlace& place) const;
  bool operator==(const DropoutSpec&) const = default;
};

}  // namespace ae
