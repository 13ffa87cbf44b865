#pragma once

#include <array>
#include <string_view>

#include "ae/activation.hpp"
#include "ae/layers/layer_kind.hpp"

namespace ae {

/// y = activation(x·W + b), W of shape (inputs, units). Images are flattened, channels innermost.
///
/// A tied layer, in a decoder, learns no W of its own: it takes the transpose of its partner's,
/// which is the i-th dense layer of the encoder for the i-th from the decoder's end. Both then move
/// W. Source: Vincent, Larochelle, Lajoie, Bengio & Manzagol, "Stacked denoising autoencoders",
/// JMLR 11, 2010.
struct DenseSpec {
  std::int64_t units = 0;
  Activation activation = Activation::identity;
  bool tied = false;

  static constexpr std::string_view kForm = "dense UNITS [tied] [ACTIVATION]";
  static constexpr std::array<std::string_view, 1> kWords{"dense"};
  static constexpr LayerTraits kTraits{.makes_logits = true};

  static DenseSpec parse(LayerWords& words);
  [[nodiscard]] std::string text() const;
  [[nodiscard]] Shape output_shape(const Shape& input) const;
  [[nodiscard]] std::vector<LayerTensor> tensors(const Shape& input) const;
  [[nodiscard]] std::unique_ptr<Layer> make(const LayerPlace& place) const;
  bool operator==(const DenseSpec&) const = default;
};

}  // namespace ae
