#include "ae/layers/prelu.hpp"

#include "layers/layer.hpp"
#include "layers/shapes.hpp"
#include "layers/words.hpp"

namespace ae {

namespace {

class PreluLayer final : public Layer {
 public:
  explicit PreluLayer(const LayerPlace& place)
      : Layer(place, /*owns_output=*/true), slope_(slice_.tensor("weight")) {}

  Matrix forward(Matrix x, const ForwardPass& pass) override {
    x_ = x;
    const Matrix y = output(x.rows);
    pass.step.add(PreluForward{.x = x, .slope = values(slope_), .y = y}, slice_.name);
    return y;
  }

  void backward(BackwardPass& pass) override {
    const Matrix dx = input_gradient(x_.rows);
    pass.step.add(PreluBackward{.x = x_,
                                .slope = values(slope_),
                                .dy = pass.gradient,
                                .dslope = gradients(slope_, pass),
                                .dx = dx},
                  slice_.name);
    pass.gradient = dx;
  }

 private:
  const TensorSlice& slope_;
  Matrix x_;
};

}  // namespace

PreluSpec PreluSpec::parse(LayerWords& /*words*/) {
  return {};
}

std::string PreluSpec::text() const {
  return "prelu";
}

Shape PreluSpec::output_shape(const Shape& input) const {
  return input;
}

/// The slope has PyTorch's name for it.
std::vector<LayerTensor> PreluSpec::tensors(const Shape& input) const {
  return {{.name = "weight", .shape = {channels_of(input)}, .initial = 0.25F}};
}

std::unique_ptr<Layer> PreluSpec::make(const LayerPlace& place) const {
  return std::make_unique<PreluLayer>(place);
}

}  // namespace ae
