#include "model/layer.hpp"

namespace ae {

namespace {

/// Some of the values, in training.
class DropoutLayer final : public Layer {
 public:
  DropoutLayer(const DropoutSpec& spec, const LayerPlace& place)
      : Layer(place, /*owns_output=*/place.is_training),
        rate_(spec.rate),
        index_(place.index),
        is_training_(place.is_training) {}

  Matrix forward(Matrix x, const ForwardPass& pass) override {
    if (!pass.is_training) return x;
    const Matrix y = output(x.rows);
    pass.step.add(DropoutForward{.mask = mask(pass.draw), .x = x, .y = y}, slice_.name);
    return y;
  }

  [[nodiscard]] double output_density(double x_density) const override {
    return is_training_ ? x_density * (1 - static_cast<double>(rate_)) : x_density;
  }

  void backward(BackwardPass& pass) override {
    const Matrix dx = input_gradient(pass.gradient.rows);
    pass.step.add(DropoutBackward{.mask = mask(pass.draw), .dy = pass.gradient, .dx = dx},
                  slice_.name);
    pass.gradient = dx;
  }

 private:
  [[nodiscard]] DropoutMask mask(const CodeDraw& draw) const {
    return {.rate = rate_, .seed = draw.seed, .step = draw.step, .layer = index_};
  }

  float rate_;
  std::uint32_t index_;
  bool is_training_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const DropoutSpec& spec, const LayerPlace& place) {
  return std::make_unique<DropoutLayer>(spec, place);
}

}  // namespace ae
