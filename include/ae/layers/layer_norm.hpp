#pragma once

#include <array>
#include <string_view>

#include "ae/activation.hpp"
#include "ae/layers/layer_kind.hpp"

namespace ae {

/// y = activation(γ·x̂ + β), x̂ = (x - μ)/√(σ² + ε), by the mean and the (biased) variance of a
/// sample's own values: of a vector's all, of each pixel's channels in an image, which must have
/// several. γ (from 1) and β (from 0) are learned, one a unit or a channel; ε = 1e-5 as PyTorch has
/// it (Keras: 1e-3). Source: Ba, Kiros & Hinton, "Layer normalization", 2016.
struct LayerNormSpec {
  Activation activation = Activation::identity;

  static constexpr std::string_view kForm = "layer_norm [ACTIVATION]";
  static constexpr std::array<std::string_view, 1> kWords{"layer_norm"};
  static constexpr LayerTraits kTraits{};

  static LayerNormSpec parse(LayerWords& words);
  [[nodiscard]] std::string text() const;
  [[nodiscard]] Shape output_shape(const Shape& input) const;
  [[nodiscard]] std::vector<LayerTensor> tensors(const Shape& input) const;
  [[nodiscard]] std::unique_ptr<Layer> make(const LayerPlace& place) const;
  bool operator==(const LayerNormSpec&) const = default;
};

}  // namespace ae
