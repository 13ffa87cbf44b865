#include "model/layer.hpp"

namespace ae {

namespace {

/// y = activation(x·W + b). A tied layer makes its W from its mate's in each forward pass, since
/// that one moves between them, and has ∂W to itself until its mate's is there.
class DenseLayer final : public Layer {
 public:
  DenseLayer(const DenseSpec& spec, const LayerPlace& place)
      : Layer(place, /*owns_output=*/true),
        activation_(spec.activation),
        is_code_(place.is_code),
        kept_largest_(place.kept_largest),
        reserve_(make_reserve(place, spec.activation)) {
    if (!slice_.tied) return;
    const std::int64_t weights = slice_.inputs * slice_.units;
    tied_weight_ = DeviceArray<float>(backend_, weights);
    if (place.is_training) tied_gradient_ = DeviceArray<float>(backend_, weights);
  }

  ConstMatrix forward(ConstMatrix x, const ForwardPass& pass) override {
    x_ = x;
    x_density_ = pass.x_density;
    const Matrix y = output(x.rows);
    if (slice_.tied) {
      backend_.transpose({.layer = slice_.name,
                          .from = {weight(), slice_.units, slice_.inputs},
                          .to = {tied_weight_.data(), slice_.inputs, slice_.units}});
    }
    backend_.dense_forward({.layer = slice_.name,
                            .x = x,
                            .w = {w(), slice_.inputs, slice_.units},
                            .bias = pass.to_logits ? nullptr : bias(),
                            .activation = pass.to_logits ? Activation::identity : activation_,
                            .y = y,
                            .reserve = reserve_.data(),
                            .x_density = x_density_});
    if (kept_largest_ > 0) backend_.keep_largest({.k = kept_largest_, .y = y});
    return y;
  }

  void backward(BackwardPass& pass) override {
    if (!pass.is_differentiated) differentiate(pass);
    product_backward(x_, x_density_, w(),
                     slice_.tied ? tied_gradient_.data() : pass.gradients + slice_.weight, pass);
  }

  void add_to_mate(float* gradients) const override {
    if (!slice_.tied) return;
    backend_.transpose({.layer = slice_.name,
                        .from = {tied_gradient_.data(), slice_.inputs, slice_.units},
                        .to = {gradients + slice_.weight, slice_.units, slice_.inputs},
                        .add = true});
  }

  [[nodiscard]] std::optional<Activated> activated(const Objective& objective) const override {
    if (is_sparse(objective)) return std::nullopt;
    return Activated{activation_, reserve_.data(), slice_.bias};
  }

 private:
  [[nodiscard]] const float* w() const { return slice_.tied ? tied_weight_.data() : weight(); }

  [[nodiscard]] bool is_sparse(const Objective& objective) const {
    return kept_largest_ > 0 || (is_code_ && objective.sparsity.is_on());
  }

  void differentiate(const BackwardPass& pass) const {
    const Matrix y = output(pass.gradient.rows);
    float* const dbias = pass.gradients + slice_.bias;
    if (is_sparse(pass.objective)) {
      backend_.sparsity_backward({.layer = slice_.name,
                                  .sparsity = pass.objective.sparsity,
                                  .kept_largest = kept_largest_ > 0,
                                  .activation = activation_,
                                  .y = y,
                                  .reserve = reserve_.data(),
                                  .dy = pass.gradient,
                                  .dbias = dbias,
                                  .penalty_sum = pass.sums.penalty});
    } else {
      backend_.activation_backward({.layer = slice_.name,
                                    .activation = activation_,
                                    .y = y,
                                    .reserve = reserve_.data(),
                                    .dy = pass.gradient,
                                    .channels = slice_.units,
                                    .dbias = dbias});
    }
  }

  Activation activation_;
  bool is_code_;
  std::int64_t kept_largest_;
  DeviceArray<std::byte> reserve_;
  DeviceArray<float> tied_weight_;    ///< of a tied layer, (inputs, units)
  DeviceArray<float> tied_gradient_;  ///< and its gradient
  ConstMatrix x_;
  double x_density_ = 1;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const DenseSpec& spec, const LayerPlace& place) {
  return std::make_unique<DenseLayer>(spec, place);
}

}  // namespace ae
