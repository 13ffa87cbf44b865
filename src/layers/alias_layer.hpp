#pragma once

#include "layers/layer.hpp"

namespace ae {

/// The same values where they are.
class AliasLayer : public Layer {
 public:
  explicit AliasLayer(const LayerPlace& place) : Layer(place, /*owns_output=*/false) {}

  Matrix forward(Matrix x, const ForwardPass& /*pass*/) override { return x; }
  void backward(BackwardPass& /*pass*/) override {}
  [[nodiscard]] double output_density(double x_density) const override { return x_density; }
  [[nodiscard]] Matrix gradient(std::int64_t rows) const override { return input_gradient(rows); }
};

}  // namespace ae
