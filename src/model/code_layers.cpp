#include "model/layer.hpp"

namespace ae {

namespace {

/// [μ | ln σ²] = x·W + b, and a draw from it, or μ.
class GaussianLayer final : public Layer {
 public:
  explicit GaussianLayer(const LayerPlace& place)
      : Layer(place, /*owns_output=*/true),
        distribution_(device_, place.max_rows * slice_.biases),
        distribution_gradient_(device_, place.is_training ? place.max_rows * slice_.biases : 0) {}

  Matrix forward(Matrix x, const ForwardPass& pass) override {
    x_ = x;
    x_density_ = pass.x_density;
    const Matrix h{distribution_.data(), x.rows, slice_.biases};
    pass.step.add(DenseForward{.x = x,
                               .w = {weight(), slice_.inputs, slice_.biases},
                               .bias = bias(),
                               .y = h,
                               .x_density = x_density_},
                  slice_.name);
    const Matrix z = output(x.rows);
    pass.step.add(GaussianSample{.h = h,
                                 .seed = pass.draw.seed,
                                 .step = pass.draw.step,
                                 .first_row = pass.draw.first_row,
                                 .mean_only = pass.draw.mean_only,
                                 .z = z,
                                 .kl = pass.draw.kl});
    return z;
  }

  void backward(BackwardPass& pass) override {
    const Matrix dh{distribution_gradient_.data(), x_.rows, slice_.biases};
    pass.step.add(GaussianBackward{.h = {distribution_.data(), x_.rows, slice_.biases},
                                   .dz = pass.gradient,
                                   .seed = pass.draw.seed,
                                   .step = pass.draw.step,
                                   .kl_scale = pass.objective.gradient_scale * pass.objective.beta,
                                   .warm_up_steps = pass.objective.warm_up_steps,
                                   .free_bits = pass.objective.free_bits,
                                   .dh = dh,
                                   .dbias = bias_gradient(pass),
                                   .kl_sum = pass.sums.kl},
                  slice_.name);
    product_backward(pass, x_, x_density_, weight(), dh, pass.gradients + slice_.weight);
  }

 private:
  DeviceArray<float> distribution_;
  DeviceArray<float> distribution_gradient_;
  Matrix x_;
  double x_density_ = 1;
};

}  // namespace

std::unique_ptr<Layer> make_layer(const GaussianSpec& /*spec*/, const LayerPlace& place) {
  return std::make_unique<GaussianLayer>(place);
}

}  // namespace ae
