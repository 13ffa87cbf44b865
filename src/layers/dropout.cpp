#include "ae/layers/dropout.hpp"

#include <fmt/format.h>

#include "ae/error.hpp"

#include "layers/layer.hpp"
#include "layers/words.hpp"

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

DropoutSpec DropoutSpec::parse(LayerWords& words) {
  return {words.take_probability("the probability")};
}

std::string DropoutSpec::text() const {
  return fmt::format("dropout {}", rate);
}

Shape DropoutSpec::output_shape(const Shape& input) const {
  if (!(rate >= 0 && rate < 1)) {
    throw UsageError(fmt::format("in '{}' the probability must be from 0 to below 1", text()));
  }
  return input;
}

std::vector<LayerTensor> DropoutSpec::tensors(const Shape& /*input*/) const {
  return {};
}

std::unique_ptr<Layer> DropoutSpec::make(const LayerPlace& place) const {
  return std::make_unique<DropoutLayer>(*this, place);
}

}  // namespace ae
