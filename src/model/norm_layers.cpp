#include "model/layer.hpp"

namespace ae {

namespace {

/// y = activation(γ·x̂ + β), x̂ = x normalised by each sample's own values.
class LayerNormLayer final : public Layer {
 public:
  LayerNormLayer(const LayerNormSpec& spec, const LayerPlace& place)
      : Layer(place, /*owns_output=*/true),
        activation_(spec.activation),
        statistics_(backend_,
                    place.is_training ? 2 * place.max_rows * slice_.units / slice_.weights : 0) {}

  ConstMatrix forward(ConstMatrix x, const ForwardPass& pass) override {
    x_ = x;
    const Matrix y = output(x.rows);
    backend_.layer_norm_forward({.layer = slice_.name,
                                 .activation = activation_,
                                 .channels = slice_.weights,
                                 .x = x,
                                 .gamma = weight(),
                                 .beta = bias(),
                                 .y = y,
                                 .statistics = pass.is_training ? statistics_.data() : nullptr});
    return y;
  }

  void backward(BackwardPass& pass) override {
    const Matrix dx = input_gradient(x_.rows);
    backend_.layer_norm_backward({.layer = slice_.name,
                                  .activation = activation_,
                                  .channels = slice_.weights,
                                  .x = x_,
                                  .gamma = weight(),
                                  .beta = bias(),
                                  .y = output(x_.rows),
                                  .statistics = statistics_.data(),
                                  .dy = pass.gradient,
                                  .dgamma = pass.gradients + slice_.weight,
                                  .dbeta = pass.gradients + slice_.bias,
                                  .dx = dx});
    pass.gradient = dx;
  }

 private:
  Activation activation_;
  DeviceArray<float> statistics_;
  ConstMatrix x_;
};

/// The same by each unit's or channel's values over the batch, or by what they were in training.
class BatchNormLayer final : public Layer {
 public:
  BatchNormLayer(const BatchNormSpec& spec, const LayerPlace& place)
      : Layer(place, /*owns_output=*/true),
        activation_(spec.activation),
        statistics_(backend_, place.is_training ? slice_.states : 0) {}

  ConstMatrix forward(ConstMatrix x, const ForwardPass& pass) override {
    x_ = x;
    const Matrix y = output(x.rows);
    backend_.batch_norm_forward({.layer = slice_.name,
                                 .activation = activation_,
                                 .channels = slice_.weights,
                                 .x = x,
                                 .gamma = weight(),
                                 .beta = bias(),
                                 .running = parameters_.data() + slice_.state,
                                 .statistics = pass.is_training ? statistics_.data() : nullptr,
                                 .y = y});
    return y;
  }

  void backward(BackwardPass& pass) override {
    const Matrix dx = input_gradient(x_.rows);
    backend_.batch_norm_backward({.layer = slice_.name,
                                  .activation = activation_,
                                  .channels = slice_.weights,
                                  .x = x_,
                                  .gamma = weight(),
                                  .beta = bias(),
                                  .y = output(x_.rows),
                                  .statistics = statistics_.data(),
                                  .dy = pass.gradient,
                                  .dgamma = pass.gradients + slice_.weight,
                                  .dbeta = pass.gradients + slice_.bias,
                                  .dx = dx});
    pass.gradient = dx;
  }

 private:
  Activation activation_;
  DeviceArray<float> statistics_;
  ConstMatrix x_;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const LayerNormSpec& spec, const LayerPlace& place) {
  return std::make_unique<LayerNormLayer>(spec, place);
}

std::unique_ptr<Layer> make_layer(const BatchNormSpec& spec, const LayerPlace& place) {
  return std::make_unique<BatchNormLayer>(spec, place);
}

}  // namespace ae
