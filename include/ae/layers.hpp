#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ae/activation.hpp"
#include "ae/layers/batch_norm.hpp"
#include "ae/layers/convolution.hpp"
#include "ae/layers/dense.hpp"
#include "ae/layers/dropout.hpp"
#include "ae/layers/flatten.hpp"
#include "ae/layers/gaussian.hpp"
#include "ae/layers/layer_norm.hpp"
#include "ae/layers/max_pool.hpp"
#include "ae/layers/prelu.hpp"
#include "ae/layers/reshape.hpp"
#include "ae/layers/top_k.hpp"
#include "ae/layers/upsample.hpp"
#include "ae/shape.hpp"

/// What a model is made of. Every layer has one readable form, the same on the command line, in
/// configuration files, in the model file and in what `ae info` prints:
///
///   dense UNITS [tied] [ACTIVATION]
///   conv CHANNELS HxW [stride N] [same|valid] [ACTIVATION]
///   transposed_conv CHANNELS HxW [stride N] [same|valid] [ACTIVATION]
///   max_pool N       upsample N       flatten       reshape HxWxC
///   dropout P        layer_norm [ACTIVATION]        batch_norm [ACTIVATION]        prelu
///   gaussian UNITS   top_k K          (the code: last in an encoder)
namespace ae {

/// Every kind of layer.
using LayerSpec =
    std::variant<DenseSpec, ConvolutionSpec, MaxPoolSpec, UpsampleSpec, FlattenSpec, ReshapeSpec,
                 DropoutSpec, LayerNormSpec, BatchNormSpec, PreluSpec, GaussianSpec, TopKSpec>;

/// The readable form.
std::string to_string(const LayerSpec& layer);
std::string to_string(std::span<const LayerSpec> layers);

/// From it; `activation` is the one of a layer that has one and does not name it.
/// @throws UsageError saying what a layer looks like.
LayerSpec parse_layer(std::string_view text, Activation activation);

/// The shape of what a layer makes of samples of shape `input`. (height, width) is an image of one
/// channel. @throws UsageError if the layer cannot work on that shape, or has a number that
/// parse_layer would refuse.
Shape output_shape(const LayerSpec& layer, const Shape& input);

/// The tensors that a layer has for inputs of shape `input`. @throws UsageError as output_shape.
std::vector<LayerTensor> layer_tensors(const LayerSpec& layer, const Shape& input);

LayerTraits traits_of(const LayerSpec& layer);

/// A tensor of a layer, and where in `Model::parameters` it begins.
struct TensorSlice : LayerTensor {
  std::int64_t offset = 0;
};

/// A layer's place in a model, and where its numbers lie.
struct LayerSlice {
  std::string name;  ///< "encoder.0", "decoder.1", …
  Shape input_shape;
  Shape output_shape;
  std::int64_t inputs = 0;  ///< values in
  std::int64_t units = 0;   ///< values out
  std::vector<TensorSlice> tensors{};
  /// Of a tied layer: its partner, counted from the encoder's first layer, and the partner's
  /// weight, whose transpose it takes.
  std::optional<std::size_t> partner{};
  TensorSlice partner_weight{};

  /// Null if the layer has none of that name.
  [[nodiscard]] const TensorSlice* find(std::string_view tensor) const;
  /// @throws std::logic_error if the layer has none of that name.
  [[nodiscard]] const TensorSlice& tensor(std::string_view name) const;
  /// How many numbers the layer learns.
  [[nodiscard]] std::int64_t parameter_count() const;
};

}  // namespace ae
