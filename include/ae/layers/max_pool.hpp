#pragma once

#include <array>
#include <string_view>

#include "ae/layers/layer_kind.hpp"

namespace ae {

/// The largest value of each window of size × size, without overlap; the last windows may be cut
/// off by the edge.
struct MaxPoolSpec {
  std::int64_t size = 2;

  static constexpr std::string_view kForm = "max_pool N";
  static constexpr std::array<std::string_view, 1> kWords{"max_pool"};
  static constexpr LayerTraits kTraits{.wants_image = true};

  static MaxPoolSpec parse(LayerWords& words);
  [[nodiscard]] std::string text() const;
  [[nodiscard]] Shape output_shape(const Shape& input) const;
  [[nodiscard]] std::vector<LayerTensor> tensors(const Shape& input) const;
  [[nodiscard]] std::unique_ptr<Layer> make(const LayerPlace& place) const;
  bool operator==(const MaxPoolSpec&) const = default;
};

}  // namespace ae
