#include "model/layer.hpp"

namespace ae {

namespace {

/// The same values where they are, under another shape; or chosen from by the dense layer below,
/// which knows of its top_k.
class AliasLayer final : public Layer {
 public:
  explicit AliasLayer(const LayerPlace& place) : Layer(place, /*owns_output=*/false) {}

  ConstMatrix forward(ConstMatrix x, const ForwardPass& /*pass*/) override { return x; }
  void backward(BackwardPass& /*pass*/) override {}
  [[nodiscard]] double output_density(double x_density) const override { return x_density; }
  [[nodiscard]] Matrix gradient(std::int64_t rows) const override { return input_gradient(rows); }
};

}  // namespace

std::unique_ptr<Layer> make_layer(const FlattenSpec& /*spec*/, const LayerPlace& place) {
  return std::make_unique<AliasLayer>(place);
}

std::unique_ptr<Layer> make_layer(const ReshapeSpec& /*spec*/, const LayerPlace& place) {
  return std::make_unique<AliasLayer>(place);
}

std::unique_ptr<Layer> make_layer(const TopKSpec& /*spec*/, const LayerPlace& place) {
  return std::make_unique<AliasLayer>(place);
}

}  // namespace ae
