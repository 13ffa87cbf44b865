#pragma once

#include "layers/layer.hpp"

namespace ae {

/// y = activation(γ·x̂ + β), x̂ = x normalised by mean and variance, of which `statistics` are kept
/// from forward to backward.
class NormLayer : public Layer {
 protected:
  NormLayer(Activation activation, const LayerPlace& place, std::int64_t statistics)
      : Layer(place, /*owns_output=*/true),
        activation_(activation),
        gamma_(slice_.tensor("weight")),
        beta_(slice_.tensor("bias")),
        statistics_(device_, place.is_training ? statistics : 0) {}

  /// LayerNormForward or BatchNormForward, but for its statistics.
  template <typename Operation>
  [[nodiscard]] Operation forward_of(Matrix x) {
    x_ = x;
    Operation op;
    op.activation = activation_;
    op.channels = channels();
    op.x = x;
    op.gamma = values(gamma_);
    op.beta = values(beta_);
    op.y = output(x.rows);
    return op;
  }

  /// LayerNormBackward or BatchNormBackward, but for its statistics; the pass then goes on below.
  template <typename Operation>
  [[nodiscard]] Operation gradients_of(BackwardPass& pass) const {
    const Matrix dy = pass.gradient;
    pass.gradient = input_gradient(x_.rows);
    Operation op;
    op.activation = activation_;
    op.channels = channels();
    op.x = x_;
    op.gamma = values(gamma_);
    op.beta = values(beta_);
    op.y = output(x_.rows);
    op.dy = dy;
    op.dgamma = gradients(gamma_, pass);
    op.dbeta = gradients(beta_, pass);
    op.dx = pass.gradient;
    return op;
  }

  [[nodiscard]] std::int64_t channels() const { return gamma_.size(); }

  Activation activation_;
  const TensorSlice& gamma_;
  const TensorSlice& beta_;
  DeviceArray<float> statistics_;
  Matrix x_;
};

/// γ and β, as model files name them.
inline std::vector<LayerTensor> norm_tensors(std::int64_t channels) {
  return {{.name = "weight", .shape = {channels}, .initial = 1},
          {.name = "bias", .shape = {channels}}};
}

}  // namespace ae
