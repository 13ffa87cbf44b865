#include "model/geometry.hpp"
#include "model/layer.hpp"

namespace ae {

namespace {

/// y = activation(convolution(x, W) + b).
class ConvolutionLayer final : public Layer {
 public:
  ConvolutionLayer(const ConvolutionSpec& spec, const LayerPlace& place)
      : Layer(place, /*owns_output=*/true),
        convolution_(geometry(spec, image_shape(slice_.input_shape, spec))),
        activation_(spec.activation),
        z_(make_saved_input(place, spec.activation)) {}

  Matrix forward(Matrix x, const ForwardPass& pass) override {
    x_ = x;
    const Matrix y = output(x.rows);
    pass.step.add(
        ConvolutionForward{.convolution = convolution_,
                           .x = x,
                           .w = w(),
                           .bias = pass.to_logits ? ConstMatrix{} : bias(),
                           .activation = pass.to_logits ? Activation::identity : activation_,
                           .y = y,
                           .z = saved_input(z_, x.rows)},
        slice_.name);
    return y;
  }

  void backward(BackwardPass& pass) override {
    activation_backward(pass, activation_, z_);
    const Matrix dx = input_gradient(x_.rows);
    pass.step.add(
        ConvolutionBackward{.convolution = convolution_,
                            .x = x_,
                            .w = w(),
                            .dz = pass.gradient,
                            .dw = vector_of(pass.gradients + slice_.weight, slice_.weights),
                            .dx = dx},
        slice_.name);
    pass.gradient = dx;
  }

 private:
  [[nodiscard]] ConstMatrix w() const { return vector_of(weight(), slice_.weights); }

  Convolution convolution_;
  Activation activation_;
  DeviceArray<float> z_;  ///< where the activation's derivative needs it
  Matrix x_;
};

class MaxPoolLayer final : public Layer {
 public:
  MaxPoolLayer(const MaxPoolSpec& spec, const LayerPlace& place)
      : Layer(place, /*owns_output=*/true),
        input_(image_shape(slice_.input_shape, spec)),
        size_(spec.size) {}

  Matrix forward(Matrix x, const ForwardPass& pass) override {
    x_ = x;
    const Matrix y = output(x.rows);
    pass.step.add(MaxPoolForward{.input = input_, .size = size_, .x = x, .y = y}, slice_.name);
    return y;
  }

  void backward(BackwardPass& pass) override {
    const Matrix dx = input_gradient(x_.rows);
    pass.step.add(
        MaxPoolBackward{.input = input_, .size = size_, .x = x_, .dy = pass.gradient, .dx = dx},
        slice_.name);
    pass.gradient = dx;
  }

 private:
  ImageShape input_;
  std::int64_t size_;
  Matrix x_;
};

class UpsampleLayer final : public Layer {
 public:
  UpsampleLayer(const UpsampleSpec& spec, const LayerPlace& place)
      : Layer(place, /*owns_output=*/true),
        input_(image_shape(slice_.input_shape, spec)),
        factor_(spec.factor) {}

  Matrix forward(Matrix x, const ForwardPass& pass) override {
    const Matrix y = output(x.rows);
    pass.step.add(UpsampleForward{.input = input_, .factor = factor_, .x = x, .y = y}, slice_.name);
    return y;
  }

  void backward(BackwardPass& pass) override {
    const Matrix dx = input_gradient(pass.gradient.rows);
    pass.step.add(
        UpsampleBackward{.input = input_, .factor = factor_, .dy = pass.gradient, .dx = dx},
        slice_.name);
    pass.gradient = dx;
  }

 private:
  ImageShape input_;
  std::int64_t factor_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const ConvolutionSpec& spec, const LayerPlace& place) {
  return std::make_unique<ConvolutionLayer>(spec, place);
}

std::unique_ptr<Layer> make_layer(const MaxPoolSpec& spec, const LayerPlace& place) {
  return std::make_unique<MaxPoolLayer>(spec, place);
}

std::unique_ptr<Layer> make_layer(const UpsampleSpec& spec, const LayerPlace& place) {
  return std::make_unique<UpsampleLayer>(spec, place);
}

}  // namespace ae
