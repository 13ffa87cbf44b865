#include "ae/model.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "formulas/philox.hpp"
#include "layers/shapes.hpp"
#include "model/layout.hpp"

namespace ae {

namespace {

/// Tensors begin at multiples of this many floats, a cache line.
constexpr std::int64_t kTensorAlignment = 16;

std::int64_t aligned(std::int64_t floats) {
  return (floats + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
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
    } else if (!traits_of(layer).is_code) {
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
std::optional<std::size_t> partner_of(const ModelSpec& spec, std::size_t place) {
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

/// @throws UsageError unless each tied layer has a partner, whose weight fits it.
void require_partners(const ModelSpec& spec) {
  if (std::none_of(spec.decoder.begin(), spec.decoder.end(), is_tied)) return;
  const std::vector<LayerSlice> slices = layer_slices(spec);
  for (std::size_t place = 0; place < spec.decoder.size(); ++place) {
    if (!is_tied(spec.decoder[place])) continue;
    const LayerSlice& slice = slices[spec.encoder.size() + place];
    const std::string name = fmt::format("{}, '{}',", slice.name, to_string(spec.decoder[place]));
    if (!slice.partner) {
      throw UsageError(
          fmt::format("{} has no partner to take its weight from, counted from the model's two "
                      "ends the encoder has no dense layer for it; leave out 'tied' there",
                      name));
    }
    const LayerSlice& other = slices[*slice.partner];
    if (other.inputs != slice.units || other.units != slice.inputs) {
      throw UsageError(fmt::format(
          "{} takes {} values to {}, but its partner {} takes {} to {}, not the other way round; "
          "make the widths equal or leave out 'tied'",
          name, slice.inputs, slice.units, other.name, other.inputs, other.units));
    }
  }
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
  std::optional<Activation> found;
  if (!decoder.empty()) {
    std::visit(
        [&]<typename Spec>(const Spec& layer) {
          if constexpr (Spec::kTraits.makes_logits) found = layer.activation;
        },
        decoder.back());
  }
  if (found) return *found;
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
  for (const LayerSlice& slice : layer_slices(*this)) count += slice.parameter_count();
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
      if (traits_of(layer).is_code && &layer != &encoder.back()) {
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
  require_partners(*this);
  const LayerSpec& last = decoder.back();
  if (!traits_of(last).makes_logits) {
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

Layout layout_of(const ModelSpec& spec) {
  Layout layout;
  std::vector<LayerSlice>& slices = layout.slices;
  slices.reserve(spec.encoder.size() + spec.decoder.size());
  Shape shape = spec.input_shape;
  const auto add = [&](const char* part, std::size_t index, const LayerSpec& layer) {
    LayerSlice slice{.name = fmt::format("{}.{}", part, index),
                     .input_shape = shape,
                     .output_shape = output_shape(layer, shape)};
    slice.inputs = element_count(slice.input_shape);
    slice.units = element_count(slice.output_shape);
    for (LayerTensor& tensor :
         std::visit([&](const auto& checked) { return checked.tensors(shape); }, layer)) {
      slice.tensors.push_back({std::move(tensor)});
    }
    shape = slice.output_shape;
    slices.push_back(std::move(slice));
  };
  for (std::size_t i = 0; i < spec.encoder.size(); ++i) add("encoder", i, spec.encoder[i]);
  for (std::size_t i = 0; i < spec.decoder.size(); ++i) add("decoder", i, spec.decoder[i]);

  std::int64_t end = 0;
  const auto place = [&](bool is_trainable) {
    for (LayerSlice& slice : slices) {
      for (TensorSlice& tensor : slice.tensors) {
        if (tensor.is_trainable != is_trainable) continue;
        tensor.offset = tensor.is_adjacent ? end : aligned(end);
        end = tensor.offset + tensor.size();
      }
    }
    return aligned(end);
  };
  layout.trainable = place(/*is_trainable=*/true);
  layout.floats = place(/*is_trainable=*/false);
  for (std::size_t i = 0; i < spec.decoder.size(); ++i) {
    if (!is_tied(spec.decoder[i])) continue;
    LayerSlice& slice = slices[spec.encoder.size() + i];
    slice.partner = partner_of(spec, i);
    if (slice.partner) slice.partner_weight = slices[*slice.partner].tensor("weight");
  }
  return layout;
}

std::vector<LayerSlice> layer_slices(const ModelSpec& spec) {
  return layout_of(spec).slices;
}

std::int64_t parameter_floats(const ModelSpec& spec) {
  return layout_of(spec).floats;
}

std::int64_t trainable_floats(const ModelSpec& spec) {
  return layout_of(spec).trainable;
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
  const Layout layout = layout_of(spec);
  Model model{spec, std::vector<float>(static_cast<std::size_t>(layout.floats)), {}};
  const Philox philox(seed);
  std::uint32_t random_tensors = 0;
  for (const LayerSlice& slice : layout.slices) {
    for (const TensorSlice& tensor : slice.tensors) {
      float* const values = model.parameters.data() + tensor.offset;
      if (tensor.fans == 0) {
        std::fill_n(values, tensor.size(), tensor.initial);
        continue;
      }
      const auto limit = static_cast<float>(std::sqrt(6.0 / static_cast<double>(tensor.fans)));
      for (std::int64_t i = 0; i < tensor.size(); ++i) {
        const std::uint32_t word =
            philox.word(RandomPurpose::weights, random_tensors, static_cast<std::uint64_t>(i));
        values[i] = limit * (2.0F * to_unit_float(word) - 1.0F);
      }
      ++random_tensors;
    }
  }
  return model;
}

}  // namespace ae
