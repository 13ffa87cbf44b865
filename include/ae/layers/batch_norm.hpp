#pragma once

#include <array>
#include <string_view>

#include "ae/activation.hpp"
#include "ae/layers/layer_kind.hpp"

namespace ae {

/// As layer_norm, by the mean and the (biased) variance of each unit over the batch, or of each
/// channel over the batch's pixels. After training, running ones take their place: from 0 and 1,
/// each step takes them a tenth of the way to the batch's mean and unbiased variance, as PyTorch
/// does (Keras: a hundredth, to the biased one). They are part of the model, but nothing that an
/// optimiser changes. Source: Ioffe & Szegedy, "Batch normalization: accelerating deep network
/// training by reducing internal covariate shift", ICML 2015.
struct BatchNormSpec {
  Activation activation = Activation::identity;

  static constexpr std::string_view kForm = "batch_norm [ACTIVATION]";
  static constexpr std::array<std::string_view, 1> kWords{"batch_norm"};
  static constexpr LayerTraits kTraits{};

  static BatchNormSpec parse(LayerWords& words);
  [[nodiscard]] std::string text() const;
  [[nodiscard]] Shape output_shape(const Shape& input) const;
  [[nodiscard]] std::vector<LayerTensor> tensors(const Shape& input) const;
  [[nodiscard]] std::unique_ptr<Layer> make(const LayerPlace& place) const;
  bool operator==(const BatchNormSpec&) const = default;
};

}  // namespace ae
