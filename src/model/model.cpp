#include "ae/model.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "formulas/philox.hpp"
#include "model/geometry.hpp"

namespace ae {

namespace {

/// Tensors begin at multiples of this many floats, a cache line.
constexpr std::int64_t kTensorAlignment = 16;

std::int64_t aligned(std::int64_t floats) {
  return (floats + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
}

/// Layers that are the code, and so end an encoder.
bool is_code(const LayerSpec& layer) {
  return std::holds_alternative<GaussianSpec>(layer) || std::holds_alternative<TopKSpec>(layer);
}

/// The decoder that takes the widths of a dense encoder back. The mirror of a gaussian, which makes
/// twice what the mirror takes, cannot be tied.
std::vector<LayerSpec> mirrored(const ModelSpec& spec, Activation activation,
                                Activation output_activation, bool tied) {
  std::vector<LayerSpec> decoder;
  std::int64_t width = spec.inputs();
  for (const LayerSpec& layer : spec.encoder) {
    const auto* dense = std::get_if<DenseSpec>(&layer);
    if (dense != nullptr || std::holds_alternative<GaussianSpec>(layer)) {
      decoder.emplace_back(DenseSpec{.units = width,
                                     .activation = decoder.empty() ? output_activation : activation,
                                     .tied = tied && dense != nullptr});
    } else if (!is_code(layer)) {
      throw UsageError(fmt::format(
          "there is no mirror of '{}', only dense encoders have one; give the decoder as well",
          to_string(layer)));
    }
    if (dense != nullptr) width = dense->units;
  }
  std::reverse(decoder.begin(), decoder.end());
  return decoder;
}

bool is_tied(const LayerSpec& layer) {
  const auto* dense = std::get_if<DenseSpec>(&layer);
  return dense != nullptr && dense->tied;
}

/// The place in the encoder of the dense layer that the decoder's at `place` mirrors: as many dense
/// layers lie before the one as behind the other.
std::optional<std::size_t> mate_of(const ModelSpec& spec, std::size_t place) {
  const auto is_dense = [](const LayerSpec& layer) {
    return std::holds_alternative<DenseSpec>(layer);
  };
  const auto behind = spec.decoder.begin() + static_cast<std::ptrdiff_t>(place) + 1;
  auto between = std::count_if(behind, spec.decoder.end(), is_dense);
  for (std::size_t i = 0; i < spec.encoder.size(); ++i) {
    if (is_dense(spec.encoder[i]) && between-- == 0) return i;
  }
  return std::nullopt;
}

/// @throws UsageError unless each tied layer has a mate, whose weight fits it.
void require_mates(const ModelSpec& spec) {
  const std::vector<LayerSlice> slices = layer_slices(spec);
  for (std::size_t place = 0; place < spec.decoder.size(); ++place) {
    const LayerSlice& slice = slices[spec.encoder.size() + place];
    if (!slice.tied) continue;
    const std::string name = fmt::format("{}, '{}',", slice.name, to_string(spec.decoder[place]));
    const std::optional<std::size_t> mate = mate_of(spec, place);
    if (!mate) {
      throw UsageError(fmt::format(
          "{} has no mate to take its weight from, counted from the model's two ends the encoder "
          "has no dense layer for it; leave out 'tied' there",
          name));
    }
    const LayerSlice& other = slices[*mate];
    if (other.inputs != slice.units || other.units != slice.inputs) {
      throw UsageError(fmt::format(
          "{} takes {} values to {}, but its mate {} takes {} to {}, not the other way round; make "
          "the widths equal or leave out 'tied'",
          name, slice.inputs, slice.units, other.name, other.inputs, other.units));
    }
  }
}

/// fan_in + fan_out. A gaussian is two layers side by side, each of its own.
std::int64_t fans(const LayerSpec& layer, const LayerSlice& slice) {
  if (const auto* convolution = std::get_if<ConvolutionSpec>(&layer)) {
    const Convolution shape = geometry(*convolution, image_shape(slice.input_shape, layer));
    return shape.kernel_height * shape.kernel_width * (shape.image.channels + shape.map.channels);
  }
  return slice.inputs + slice.units;
}

}  // namespace

Shape ModelSpec::code_shape() const {
  Shape shape = input_shape;
  for (const LayerSpec& layer : encoder) shape = output_shape(layer, shape);
  return shape;
}

std::size_t ModelSpec::code_layer() const {
  const bool chooses = !encoder.empty() && std::holds_alternative<TopKSpec>(encoder.back());
  const std::size_t behind = chooses ? 2 : 1;
  if (encoder.size() < behind) {
    throw UsageError("the model's encoder has no layer that makes a code, give it one");
  }
  return encoder.size() - behind;
}

bool ModelSpec::is_variational() const {
  return !encoder.empty() && std::holds_alternative<GaussianSpec>(encoder.back());
}

Activation ModelSpec::output_activation() const {
  if (!decoder.empty()) {
    if (const auto* dense = std::get_if<DenseSpec>(&decoder.back())) return dense->activation;
    if (const auto* convolution = std::get_if<ConvolutionSpec>(&decoder.back())) {
      return convolution->activation;
    }
  }
  throw UsageError(
      "the model's decoder does not end in a dense or convolutional layer, give it one");
}

std::vector<LayerSpec> ModelSpec::layers() const {
  std::vector<LayerSpec> all = encoder;
  all.insert(all.end(), decoder.begin(), decoder.end());
  return all;
}

std::int64_t ModelSpec::parameter_count() const {
  std::int64_t count = 0;
  for (const LayerSlice& slice : layer_slices(*this)) count += slice.weights + slice.biases;
  return count;
}

void ModelSpec::validate() const {
  require_shape(input_shape, "the model's input shape");
  if (encoder.empty() || decoder.empty()) {
    throw UsageError(
        "the model lacks layers, it needs at least one in the encoder and the decoder");
  }
  if (encoder.size() + decoder.size() > kMostLayers) {
    throw UsageError(fmt::format("the model has {} layers, it can have {}",
                                 encoder.size() + decoder.size(), kMostLayers));
  }
  Shape shape = input_shape;
  const LayerSpec* before = nullptr;
  for (const std::vector<LayerSpec>* part : {&encoder, &decoder}) {
    for (const LayerSpec& layer : *part) {
      if (is_code(layer) && &layer != &encoder.back()) {
        throw UsageError(fmt::format("'{}' makes a code, it must be the encoder's last layer",
                                     to_string(layer)));
      }
      if (std::holds_alternative<TopKSpec>(layer) &&
          (before == nullptr || !std::holds_alternative<DenseSpec>(*before))) {
        throw UsageError(fmt::format("'{}' must follow a dense layer, whose values it chooses from",
                                     to_string(layer)));
      }
      if (is_tied(layer) && part == &encoder) {
        throw UsageError(
            fmt::format("'{}' stands in the encoder, whose weights the decoder's tied layers take; "
                        "write 'tied' "
                        "in layers of the decoder only",
                        to_string(layer)));
      }
      shape = output_shape(layer, shape);
      before = &layer;
    }
  }
  require_mates(*this);
  const LayerSpec& last = decoder.back();
  if (!std::holds_alternative<DenseSpec>(last) && !std::holds_alternative<ConvolutionSpec>(last)) {
    throw UsageError(
        fmt::format("the decoder ends in '{}', it must end in a dense or convolutional layer",
                    to_string(last)));
  }
  if (element_count(shape) != inputs()) {
    throw UsageError(
        fmt::format("the model's last layer makes {} values ({}) of inputs of {} ({}), make them "
                    "equal",
                    element_count(shape), to_string(shape), inputs(), to_string(input_shape)));
  }
}

ModelSpec dense_autoencoder(Shape input_shape, const std::vector<std::int64_t>& hidden,
                            Activation activation, Activation output_activation, bool tied) {
  ModelSpec spec{std::move(input_shape), {}, {}};
  for (const std::int64_t units : hidden) spec.encoder.emplace_back(DenseSpec{units, activation});
  spec.decoder = mirrored(spec, activation, output_activation, tied);
  spec.validate();
  return spec;
}

ModelSpec parse_model(Shape input_shape, const std::vector<std::string>& encoder,
                      const std::vector<std::string>& decoder, Activation activation,
                      Activation output_activation, bool tied) {
  if (tied && !decoder.empty()) {
    throw UsageError(
        "a decoder that is given is not tied as a whole, as one that mirrors its encoder may be; "
        "write 'tied' in its layers, as 'dense 784 tied'");
  }
  ModelSpec spec{std::move(input_shape), {}, {}};
  for (const std::string& layer : encoder) spec.encoder.push_back(parse_layer(layer, activation));
  for (const std::string& layer : decoder) {
    const bool is_last = &layer == &decoder.back();
    spec.decoder.push_back(parse_layer(layer, is_last ? output_activation : activation));
  }
  if (decoder.empty()) spec.decoder = mirrored(spec, activation, output_activation, tied);
  spec.validate();
  return spec;
}

std::vector<LayerSlice> layer_slices(const ModelSpec& spec) {
  std::vector<LayerSlice> slices;
  Shape shape = spec.input_shape;
  std::int64_t offset = 0;
  const auto add = [&](const char* part, std::size_t index, const LayerSpec& layer) {
    LayerSlice slice{.name = fmt::format("{}.{}", part, index),
                     .input_shape = shape,
                     .output_shape = output_shape(layer, shape),
                     .weights = weight_count(layer, shape),
                     .tied = is_tied(layer),
                     .biases = bias_count(layer, shape),
                     .states = state_count(layer, shape)};
    slice.inputs = element_count(slice.input_shape);
    slice.units = element_count(slice.output_shape);
    slice.weight = offset;
    slice.bias = offset + aligned(slice.weights);
    offset = slice.bias + aligned(slice.biases);
    shape = slice.output_shape;
    slices.push_back(std::move(slice));
  };
  for (std::size_t i = 0; i < spec.encoder.size(); ++i) add("encoder", i, spec.encoder[i]);
  for (std::size_t i = 0; i < spec.decoder.size(); ++i) {
    add("decoder", i, spec.decoder[i]);
    if (!slices.back().tied) continue;
    if (const auto mate = mate_of(spec, i)) slices.back().weight = slices[*mate].weight;
  }
  for (LayerSlice& slice : slices) {
    slice.state = offset;
    offset += aligned(slice.states);
  }
  return slices;
}

std::int64_t parameter_floats(const ModelSpec& spec) {
  const std::vector<LayerSlice> slices = layer_slices(spec);
  return slices.empty() ? 0 : slices.back().state + aligned(slices.back().states);
}

std::int64_t trainable_floats(const ModelSpec& spec) {
  const std::vector<LayerSlice> slices = layer_slices(spec);
  return slices.empty() ? 0 : slices.front().state;
}

void Model::validate() const {
  spec.validate();
  const std::int64_t needed = parameter_floats(spec);
  if (static_cast<std::int64_t>(parameters.size()) != needed) {
    throw UsageError(fmt::format(
        "the model has {} parameters, but its layers need {}; make it with Model::initialize or "
        "load_model",
        parameters.size(), needed));
  }
}

Model Model::initialize(const ModelSpec& spec, std::uint64_t seed) {
  spec.validate();
  Model model{spec, std::vector<float>(static_cast<std::size_t>(parameter_floats(spec))), {}};
  const Philox philox(seed);
  std::uint32_t tensor = 0;
  const std::vector<LayerSpec> layers = spec.layers();
  const std::vector<LayerSlice> slices = layer_slices(spec);
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    const LayerSlice& slice = slices[layer];
    if (slice.weights == 0) continue;
    if (is_normalization(layers[layer])) {
      float* const variances = model.parameters.data() + slice.state + slice.states / 2;
      std::fill_n(model.parameters.data() + slice.weight, slice.weights, 1.0F);
      std::fill_n(variances, slice.states / 2, 1.0F);
      continue;
    }
    const double limit = std::sqrt(6.0 / static_cast<double>(fans(layers[layer], slice)));
    const auto scale = static_cast<float>(limit);
    float* weight = model.parameters.data() + slice.weight;
    for (std::int64_t i = 0; i < slice.weights; ++i) {
      const std::uint32_t word =
          philox.word(RandomPurpose::weights, tensor, static_cast<std::uint64_t>(i));
      weight[i] = scale * (2.0F * to_unit_float(word) - 1.0F);
    }
    ++tensor;
  }
  return model;
}

}  // namespace ae
