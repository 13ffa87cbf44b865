#include "ae/model.hpp"

#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "activations.hpp"
#include "model/names.hpp"
#include "philox.hpp"

namespace ae {

namespace {

/// Tensors begin at multiples of this many floats, a cache line.
constexpr std::int64_t kTensorAlignment = 16;

std::int64_t aligned(std::int64_t floats) {
  return (floats + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
}

constexpr auto kActivations = names_of(activations::Activations{});

}  // namespace

std::string_view to_string(Activation activation) {
  return name_of(kActivations, activation);
}

Activation parse_activation(std::string_view name) {
  return value_of(kActivations, "activation", name);
}

std::int64_t ModelSpec::latent() const {
  return encoder.empty() ? 0 : encoder.back().units;
}

std::vector<DenseSpec> ModelSpec::layers() const {
  std::vector<DenseSpec> all = encoder;
  all.insert(all.end(), decoder.begin(), decoder.end());
  return all;
}

std::int64_t ModelSpec::parameter_count() const {
  std::int64_t count = 0;
  std::int64_t width = inputs();
  for (const DenseSpec& layer : layers()) {
    count += width * layer.units + layer.units;
    width = layer.units;
  }
  return count;
}

void ModelSpec::validate() const {
  // Wide enough for any autoencoder that fits a machine, small enough that no product of two widths
  // overflows.
  constexpr std::int64_t kWidest = std::int64_t{1} << 24U;
  if (input_shape.empty()) throw UsageError("the model's input shape has no extents, give one");
  std::int64_t values = 1;
  for (const std::int64_t extent : input_shape) {
    if (extent < 1 || extent > kWidest || values * extent > kWidest) {
      throw UsageError(fmt::format("the model's input shape {} must have 1 to {} values",
                                   to_string(input_shape), kWidest));
    }
    values *= extent;
  }
  if (encoder.empty() || decoder.empty()) {
    throw UsageError(
        "the model lacks layers, it needs at least one in the encoder and the decoder");
  }
  for (const DenseSpec& layer : layers()) {
    if (layer.units < 1 || layer.units > kWidest) {
      throw UsageError(fmt::format("a layer has {} units, give 1 to {}", layer.units, kWidest));
    }
  }
  if (decoder.back().units != inputs()) {
    throw UsageError(
        fmt::format("the model's last layer has {} units for inputs of {} values, make "
                    "them equal",
                    decoder.back().units, inputs()));
  }
}

ModelSpec dense_autoencoder(Shape input_shape, const std::vector<std::int64_t>& hidden,
                            Activation activation, Activation output_activation) {
  ModelSpec spec;
  spec.input_shape = std::move(input_shape);
  for (const std::int64_t units : hidden) spec.encoder.push_back({units, activation});
  for (std::size_t i = hidden.size(); i-- > 1;) spec.decoder.push_back({hidden[i - 1], activation});
  spec.decoder.push_back({spec.inputs(), output_activation});
  spec.validate();
  return spec;
}

std::vector<LayerSlice> layer_slices(const ModelSpec& spec) {
  std::vector<LayerSlice> slices;
  std::int64_t width = spec.inputs();
  std::int64_t offset = 0;
  const auto add = [&](const char* part, std::size_t index, std::int64_t units) {
    LayerSlice slice{fmt::format("{}.{}", part, index), width, units, offset, 0};
    slice.bias = offset + aligned(width * units);
    offset = slice.bias + aligned(units);
    width = units;
    slices.push_back(std::move(slice));
  };
  for (std::size_t i = 0; i < spec.encoder.size(); ++i) add("encoder", i, spec.encoder[i].units);
  for (std::size_t i = 0; i < spec.decoder.size(); ++i) add("decoder", i, spec.decoder[i].units);
  return slices;
}

std::int64_t parameter_floats(const ModelSpec& spec) {
  const LayerSlice last = layer_slices(spec).back();
  return last.bias + aligned(last.units);
}

Model Model::initialize(const ModelSpec& spec, std::uint64_t seed) {
  spec.validate();
  Model model{spec, std::vector<float>(static_cast<std::size_t>(parameter_floats(spec))), {}};
  const Philox philox(seed);
  std::uint32_t tensor = 0;
  for (const LayerSlice& slice : layer_slices(spec)) {
    const double limit = std::sqrt(6.0 / static_cast<double>(slice.inputs + slice.units));
    const auto scale = static_cast<float>(limit);
    float* weight = model.parameters.data() + slice.weight;
    for (std::int64_t i = 0; i < slice.inputs * slice.units; ++i) {
      const std::uint32_t word =
          philox.word(RandomPurpose::weights, tensor, static_cast<std::uint64_t>(i));
      weight[i] = scale * (2.0F * to_unit_float(word) - 1.0F);
    }
    ++tensor;
  }
  return model;
}

}  // namespace ae
