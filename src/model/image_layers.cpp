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
        reserve_(make_reserve(place, spec.activation)) {}

  ConstMatrix forward(ConstMatrix x, const ForwardPass& pass) override {
    x_ = x;
    const Matrix y = output(x.rows);
    backend_.convolution_forward({.layer = slice_.name,
                                  .convolution = convolution_,
                                  .x = x,
                                  .w = weight(),
                                  .bias = pass.to_logits ? nullptr : bias(),
                                  .activation = pass.to_logits ? Activation::identity : activation_,
                                  .y = y,
                                  .reserve = reserve_.data()});
    return y;
  }

  void backward(BackwardPass& pass) override {
    if (!pass.is_differentiated) {
      backend_.activation_backward({.layer = slice_.name,
                                    .activation = activation_,
                                    .y = output(x_.rows),
                                    .reserve = reserve_.data(),
                                    .dy = pass.gradient,
                                    .channels = slice_.biases,
                                    .dbias = pass.gradients + slice_.bias});
    }
    const Matrix dx = input_gradient(x_.rows);
    backend_.convolution_backward({.layer = slice_.name,
                                   .convolution = convolution_,
                                   .x = x_,
                                   .w = weight(),
                                   .dz = pass.gradient,
                                   .dw = pass.gradients + slice_.weight,
                                   .dx = dx});
    pass.gradient = dx;
    pass.is_differentiated = false;
  }

 private:
  Convolution convolution_;
  Activation activation_;
  DeviceArray<std::byte> reserve_;
  ConstMatrix x_;
};

class MaxPoolLayer final : public Layer {
 public:
  MaxPoolLayer(const MaxPoolSpec& spec, const LayerPlace& place)
      : Layer(place, /*owns_output=*/true),
        input_(image_shape(slice_.input_shape, spec)),
        size_(spec.size) {}

  ConstMatrix forward(ConstMatrix x, const ForwardPass& /*pass*/) override {
    x_ = x;
    const Matrix y = output(x.rows);
    backend_.max_pool_forward(
        {.layer = slice_.name, .input = input_, .size = size_, .x = x, .y = y});
    return y;
  }

  void backward(BackwardPass& pass) override {
    const Matrix dx = input_gradient(x_.rows);
    backend_.max_pool_backward({.layer = slice_.name,
                                .input = input_,
                                .size = size_,
                                .x = x_,
                                .dy = pass.gradient,
                                .dx = dx});
    pass.gradient = dx;
  }

 private:
  ImageShape input_;
  std::int64_t size_;
  ConstMatrix x_;
};

class UpsampleLayer final : public Layer {
 public:
  UpsampleLayer(const UpsampleSpec& spec, const LayerPlace& place)
      : Layer(place, /*owns_output=*/true),
        input_(image_shape(slice_.input_shape, spec)),
        factor_(spec.factor) {}

  ConstMatrix forward(ConstMatrix x, const ForwardPass& /*pass*/) override {
    const Matrix y = output(x.rows);
    backend_.upsample_forward(
        {.layer = slice_.name, .input = input_, .factor = factor_, .x = x, .y = y});
    return y;
  }

  void backward(BackwardPass& pass) override {
    const Matrix dx = input_gradient(pass.gradient.rows);
    backend_.upsample_backward(
        {.layer = slice_.name, .input = input_, .factor = factor_, .dy = pass.gradient, .dx = dx});
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
