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
        statistics_(device_, place.is_training ? statistics : 0) {}

  /// LayerNormBackward or BatchNormBackward, but for its statistics; the pass then goes on below.
  template <typename Operation>
  [[nodiscard]] Operation gradients_of(BackwardPass& pass) const {
    const Matrix dy = pass.gradient;
    pass.gradient = input_gradient(x_.rows);
    Operation op;
    op.activation = activation_;
    op.channels = slice_.weights;
    op.x = x_;
    op.gamma = gamma();
    op.beta = bias();
    op.y = output(x_.rows);
    op.dy = dy;
    op.dgamma = vector_of(pass.gradients + slice_.weight, slice_.weights);
    op.dbeta = bias_gradient(pass);
    op.dx = pass.gradient;
    return op;
  }

  [[nodiscard]] ConstMatrix gamma() const { return vector_of(weight(), slice_.weights); }

  Activation activation_;
  DeviceArray<float> statistics_;
  Matrix x_;
};

/// By each sample's own values: a mean and a scale for each of its groups of channels.
class LayerNormLayer final : public NormLayer {
 public:
  LayerNormLayer(const LayerNormSpec& spec, const LayerPlace& place)
      : NormLayer(spec.activation, place,
                  2 * place.max_rows * place.slice.units / place.slice.weights) {}

  Matrix forward(Matrix x, const ForwardPass& pass) override {
    x_ = x;
    const Matrix y = output(x.rows);
    pass.step.add(LayerNormForward{.activation = activation_,
                                   .channels = slice_.weights,
                                   .x = x,
                                   .gamma = gamma(),
                                   .beta = bias(),
                                   .y = y,
                                   .mean_rstd = pass.is_training ? mean_rstd() : Matrix{}},
                  slice_.name);
    return y;
  }

  void backward(BackwardPass& pass) override {
    auto op = gradients_of<LayerNormBackward>(pass);
    op.mean_rstd = mean_rstd();
    pass.step.add(op, slice_.name);
  }

 private:
  [[nodiscard]] Matrix mean_rstd() const {
    return {statistics_.data(), x_.size() / slice_.weights, 2};
  }
};

/// By each unit's or channel's values over the batch, or by what they were in training.
class BatchNormLayer final : public NormLayer {
 public:
  BatchNormLayer(const BatchNormSpec& spec, const LayerPlace& place)
      : NormLayer(spec.activation, place, place.slice.states) {}

  Matrix forward(Matrix x, const ForwardPass& pass) override {
    x_ = x;
    const Matrix y = output(x.rows);
    pass.step.add(
        BatchNormForward{.activation = activation_,
                         .channels = slice_.weights,
                         .x = x,
                         .gamma = gamma(),
                         .beta = bias(),
                         .running = {parameters_.data() + slice_.state, 2, slice_.weights},
                         .mean_var = pass.is_training ? mean_var() : Matrix{},
                         .y = y},
        slice_.name);
    return y;
  }

  void backward(BackwardPass& pass) override {
    auto op = gradients_of<BatchNormBackward>(pass);
    op.mean_var = mean_var();
    pass.step.add(op, slice_.name);
  }

 private:
  [[nodiscard]] Matrix mean_var() const { return {statistics_.data(), 2, slice_.weights}; }
};

}  // namespace

std::unique_ptr<Layer> make_layer(const LayerNormSpec& spec, const LayerPlace& place) {
  return std::make_unique<LayerNormLayer>(spec, place);
}

std::unique_ptr<Layer> make_layer(const BatchNormSpec& spec, const LayerPlace& place) {
  return std::make_unique<BatchNormLayer>(spec, place);
}

}  // namespace ae
