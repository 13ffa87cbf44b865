#include "model/layer.hpp"

namespace ae {

namespace {

/// y = activation(x·W + b). A tied layer makes its W from its partner's in each forward pass, since
/// that one moves between them, and has ∂W to itself until its partner's is there.
class DenseLayer final : public Layer {
 public:
  DenseLayer(const DenseSpec& spec, const LayerPlace& place)
      : Layer(place, /*owns_output=*/true),
        activation_(spec.activation),
        z_(make_saved_input(place, spec.activation)) {
    if (!slice_.tied) return;
    const std::int64_t weights = slice_.inputs * slice_.units;
    tied_weight_ = DeviceArray<float>(device_, weights);
    if (place.is_training) tied_gradient_ = DeviceArray<float>(device_, weights);
  }

  Matrix forward(Matrix x, const ForwardPass& pass) override {
    x_ = x;
    x_density_ = pass.x_density;
    const Matrix y = output(x.rows);
    if (slice_.tied) {
      pass.step.add(Transpose{.from = {weight(), slice_.units, slice_.inputs},
                              .to = {tied_weight_.data(), slice_.inputs, slice_.units}},
                    slice_.name);
    }
    pass.step.add(DenseForward{.x = x,
                               .w = {w(), slice_.inputs, slice_.units},
                               .bias = pass.to_logits ? ConstMatrix{} : bias(),
                               .activation = pass.to_logits ? Activation::identity : activation_,
                               .y = y,
                               .z = saved_input(z_, x.rows),
                               .x_density = x_density_},
                  slice_.name);
    return y;
  }

  void backward(BackwardPass& pass) override {
    activation_backward(pass, activation_, z_);
    product_backward(pass, x_, x_density_, w(), pass.gradient,
                     slice_.tied ? tied_gradient_.data() : pass.gradients + slice_.weight);
  }

  void finish_backward(const BackwardPass& pass) const override {
    if (!slice_.tied) return;
    pass.step.add(Transpose{.from = {tied_gradient_.data(), slice_.inputs, slice_.units},
                            .to = {pass.gradients + slice_.weight, slice_.units, slice_.inputs},
                            .add = true},
                  slice_.name);
  }

 private:
  [[nodiscard]] const float* w() const { return slice_.tied ? tied_weight_.data() : weight(); }

  Activation activation_;
  DeviceArray<float> z_;              ///< where the activation's derivative needs it
  DeviceArray<float> tied_weight_;    ///< of a tied layer, (inputs, units)
  DeviceArray<float> tied_gradient_;  ///< and its gradient
  Matrix x_;
  double x_density_ = 1;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const DenseSpec& spec, const LayerPlace& place) {
  return std::make_unique<DenseLayer>(spec, place);
}

}  // namespace ae
