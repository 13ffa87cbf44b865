#pragma once

#include <array>
#include <string_view>

#include "ae/layers/layer_kind.hpp"

namespace ae {

/// Each pixel becomes factor × factor.
struct UpsampleSpec {
  std::int64_t factor = 2;

  static constexpr std::string_view kForm = "upsample N";
  static constexpr std::array<std::string_view, 1> kWords{"upsample"};
  static constexpr LayerTraits kTraits{.wants_image = true};

  static UpsampleSpec parse(LayerWords& words);
  [[nodiscard]] std::string text() const;
  [[nodiscard]] Shape output_shape(const Shape& input) const;
  [[nodiscard]] std::vector<LayerTensor> tensors(const Shape& input) const;
  [[nodiscard]] std::unique_ptr<Layer> make(const LayerPlace& place) const;
  bool operator==(const UpsampleSpec&) const = default;
};

}  // namespace ae
