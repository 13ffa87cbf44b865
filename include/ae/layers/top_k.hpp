#pragma once

#include <array>
#include <string_view>

#include "ae/layers/layer_kind.hpp"

namespace ae {

/// The k largest values of the code before it stay, the others become zero, in training and after.
/// Source: Makhzani & Frey, "k-sparse autoencoders", ICLR 2014.
struct TopKSpec {
  std::int64_t k = 0;

  static constexpr std::string_view kForm = "top_k K";
  static constexpr std::array<std::string_view, 1> kWords{"top_k"};
  static constexpr LayerTraits kTraits{.is_code = true};

  static TopKSpec parse(LayerWords& words);
  [[nodiscard]] std::string text() const;
  [[nodiscard]] Shape output_shape(const Shape& input) const;
  [[nodiscard]] std::vector<LayerTensor> tensors(const Shape& input) const;
  [[nodiscard]] std::unique_ptr<Layer> make(const LayerPlace& place) const;
  bool operator==(const TopKSpec&) const = default;
};

}  // namespace ae
