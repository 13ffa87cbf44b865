#include "model/layer.hpp"

namespace ae {

namespace {

/// The same values where they are, under another shape.
class AliasLayer : public Layer {
 public:
  explicit AliasLayer(const LayerPlace& place) : Layer(place, /*owns_output=*/false) {}

  Matrix forward(Matrix x, const ForwardPass& /*pass*/) override { return x; }
  void backward(BackwardPass& /*pass*/) override {}
  [[nodiscard]] double output_density(double x_density) const override { return x_density; }
  [[nodiscard]] Matrix gradient(std::int64_t rows) const override { return input_gradient(rows); }
};

/// The largest of them, in place.
class TopKLayer final : public AliasLayer {
 public:
  TopKLayer(const TopKSpec& spec, const LayerPlace& place) : AliasLayer(place), k_(spec.k) {}

  Matrix forward(Matrix x, const ForwardPass& pass) override {
    y_ = x;
    pass.step.add(KeepLargest{.k = k_, .y = x}, slice_.name);
    return x;
  }
  void backward(BackwardPass& pass) override {
    pass.step.add(
        SparsityBackward{
            .kept_largest = true, .y = y_, .dy = pass.gradient, .penalty_sum = pass.sums.penalty},
        slice_.name);
  }

 private:
  std::int64_t k_;
  Matrix y_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const FlattenSpec& /*spec*/, const LayerPlace& place) {
  return std::make_unique<AliasLayer>(place);
}

std::unique_ptr<Layer> make_layer(const ReshapeSpec& /*spec*/, const LayerPlace& place) {
  return std::make_unique<AliasLayer>(place);
}

std::unique_ptr<Layer> make_layer(const TopKSpec& spec, const LayerPlace& place) {
  return std::make_unique<TopKLayer>(spec, place);
}

}  // namespace ae
