#include "ae/layers.hpp"

#include <stdexcept>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "layers/checks.hpp"
#include "layers/kinds.hpp"
#include "layers/shapes.hpp"
#include "layers/words.hpp"

namespace ae {

std::string to_string(const LayerSpec& layer) {
  return std::visit([](const auto& spec) { return spec.text(); }, layer);
}

std::string to_string(std::span<const LayerSpec> layers) {
  std::string text;
  for (const LayerSpec& layer : layers) {
    text += (text.empty() ? "" : ", ") + to_string(layer);
  }
  return text;
}

LayerSpec parse_layer(std::string_view text, Activation activation) {
  LayerWords words(text, activation);
  std::optional<LayerSpec> layer;
  for_each_kind([&]<typename Spec>() {
    for (const std::string_view word : Spec::kWords) {
      if (word == words.kind()) layer = Spec::parse(words);
    }
  });
  if (!layer) words.refuse(fmt::format("there is no '{}'", words.kind()));
  words.require_end();
  return *layer;
}

Shape output_shape(const LayerSpec& layer, const Shape& input) {
  require_shape(input, "a layer's input shape");
  Shape output = std::visit([&](const auto& spec) { return spec.output_shape(input); }, layer);
  std::int64_t values = 1;
  for (const std::int64_t extent : output) {
    if (extent < 1 || extent > kMostValues || values * extent > kMostValues) {
      throw UsageError(fmt::format("'{}' would make {} of {}, it must make 1 to {} values",
                                   to_string(layer), to_string(output), to_string(input),
                                   kMostValues));
    }
    values *= extent;
  }
  return output;
}

std::vector<LayerTensor> layer_tensors(const LayerSpec& layer, const Shape& input) {
  static_cast<void>(output_shape(layer, input));  // which checks both
  return std::visit([&](const auto& spec) { return spec.tensors(input); }, layer);
}

LayerTraits traits_of(const LayerSpec& layer) {
  return std::visit([](const auto& spec) { return spec.kTraits; }, layer);
}

void require_within(const LayerSpec& layer, const char* what, std::int64_t value,
                    std::int64_t max) {
  if (value >= 1 && value <= max) return;
  throw UsageError(fmt::format("in '{}' {} must be from 1 to {}", to_string(layer), what, max));
}

const TensorSlice* LayerSlice::find(std::string_view name_wanted) const {
  for (const TensorSlice& tensor : tensors) {
    if (tensor.name == name_wanted) return &tensor;
  }
  return nullptr;
}

const TensorSlice& LayerSlice::tensor(std::string_view name_wanted) const {
  const TensorSlice* const found = find(name_wanted);
  if (found == nullptr) {
    throw std::logic_error(fmt::format("{} has no tensor '{}'", name, name_wanted));
  }
  return *found;
}

std::int64_t LayerSlice::parameter_count() const {
  std::int64_t count = 0;
  for (const TensorSlice& tensor : tensors) count += tensor.is_trainable ? tensor.size() : 0;
  return count;
}

}  // namespace ae
