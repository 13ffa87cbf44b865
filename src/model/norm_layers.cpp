#include "model/layer.hpp"

namespace ae {

namespace {

/// y = activation(γ·x̂ + β), x̂ = x normalised by mean and variance, of which `statistics` are kept
/// from forward to backward.
class NormLayer : public Layer {
 protected:
  NormLayer(Activation activation, const LayerPlace& place, std::int64_t statistics)
      : Layer(place, /*owns_output=*/true),
        activation_(activation),
        statistics_(backend_, place.is_training ? statistics : 0) {}

  /// LayerNormBackward or BatchNormBackward; the pass then goes on below.
  template <typename Operation>
  [[nodiscard]] Operation gradients_of(BackwardPass& pass) const {
    const Matrix dy = pass.gradient;
    pass.gradient = input_gradient(x_.rows);
    return {.layer = slice_.name,
            .activation = activation_,
            .channels = slice_.weights,
            .x = x_,
            .gamma = weight(),
            .beta = bias(),
            .y = output(x_.rows),
            .statistics = statistics_.data(),
            .dy = dy,
            .dgamma = pass.gradients + slice_.weight,
            .dbeta = pass.gradients + slice_.bias,
            .dx = pass.gradient};
  }

  Activation activation_;
  DeviceArray<float> statistics_;
  ConstMatrix x_;
};

/// By each sample's own values: a mean and a scale for each of its groups of channels.
class LayerNormLayer final : public NormLayer {
 public:
  LayerNormLayer(const LayerNormSpec& spec, const LayerPlace& place)
      : NormLayer(spec.activation, place,
                  2 * place.max_rows * place.slice.units / place.slice.weights) {}

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
    backend_.layer_norm_backward(gradients_of<LayerNormBackward>(pass));
  }
};

/// By each unit's or channel's values over the batch, or by what they were in training.
class BatchNormLayer final : public NormLayer {
 public:
  BatchNormLayer(const BatchNormSpec& spec, const LayerPlace& place)
      : NormLayer(spec.activation, place, place.slice.states) {}

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
    backend_.batch_norm_backward(gradients_of<BatchNormBackward>(pass));
  }
};

}  // namespace

std::unique_ptr<Layer> make_layer(const LayerNormSpec& spec, const LayerPlace& place) {
  return std::make_unique<LayerNormLayer>(spec, place);
}

std::unique_ptr<Layer> make_layer(const BatchNormSpec& spec, const LayerPlace& place) {
  return std::make_unique<BatchNormLayer>(spec, place);
}

}  // namespace ae
