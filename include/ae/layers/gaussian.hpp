#pragma once

#include <array>
#include <string_view>

#include "ae/layers/layer_kind.hpp"

namespace ae {

/// A variational code: [μ | ln σ²] = x·W + b, W of shape (inputs, 2·units), and in training a draw
/// μ + σ·ε with ε normal. The code of a sample is its μ. Source: Kingma & Welling, "Auto-encoding
/// variational Bayes", ICLR 2014.
struct GaussianSpec {
  std::int64_t units = 0;

  static constexpr std::string_view kForm = "gaussian UNITS";
  static constexpr std::array<std::string_view, 1> kWords{"gaussian"};
  static constexpr LayerTraits kTraits{.is_code = true};

  static GaussianSpec parse(LayerWords& words);
  [[nodiscard]] std::string text() const;
  [[nodiscard]] Shape output_shape(const Shape& input) const;
  [[nodiscard]] std::vector<LayerTensor> tensors(const Shape& input) const;
  [[nodiscard]] std::unique_ptr<Layer> make(const LayerPlace& place) const;
  bool operator==(const GaussianSpec&) const = default;
};

}  // namespace ae
