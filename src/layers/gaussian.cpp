#include "ae/layers/gaussian.hpp"

#include <fmt/format.h>

#include "layers/checks.hpp"
#include "layers/layer.hpp"
#include "layers/shapes.hpp"
#include "layers/words.hpp"

namespace ae {

namespace {

/// [μ | ln σ²] = x·W + b, and a draw from it, or μ.
class GaussianLayer final : public Layer {
 public:
  explicit GaussianLayer(const LayerPlace& place)
      : Layer(place, /*owns_output=*/true),
        weight_(slice_.tensor("weight")),
        bias_(slice_.tensor("bias")),
        distribution_(device_, place.max_rows * bias_.size()),
        distribution_gradient_(device_, place.is_training ? place.max_rows * bias_.size() : 0) {}

  Matrix forward(Matrix x, const ForwardPass& pass) override {
    x_ = x;
    x_density_ = pass.x_density;
    const Matrix h{distribution_.data(), x.rows, bias_.size()};
    pass.step.add(DenseForward{.x = x,
                               .w = shaped(parameters_ + weight_.offset),
                               .bias = values(bias_),
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
    const Matrix dh{distribution_gradient_.data(), x_.rows, bias_.size()};
    pass.step.add(GaussianBackward{.h = {distribution_.data(), x_.rows, bias_.size()},
                                   .dz = pass.gradient,
                                   .seed = pass.draw.seed,
                                   .step = pass.draw.step,
                                   .kl_scale = pass.objective.gradient_scale * pass.objective.beta,
                                   .warm_up_steps = pass.objective.warm_up_steps,
                                   .free_bits = pass.objective.free_bits,
                                   .dh = dh,
                                   .dbias = gradients(bias_, pass),
                                   .kl_sum = pass.sums.kl},
                  slice_.name);
    product_backward(pass, x_, x_density_, shaped(parameters_ + weight_.offset), dh,
                     shaped(pass.gradients + weight_.offset));
  }

 private:
  [[nodiscard]] Matrix shaped(float* weight) const { return {weight, slice_.inputs, bias_.size()}; }

  const TensorSlice& weight_;
  const TensorSlice& bias_;
  DeviceArray<float> distribution_;
  DeviceArray<float> distribution_gradient_;
  Matrix x_;
  double x_density_ = 1;
};

}  // namespace

GaussianSpec GaussianSpec::parse(LayerWords& words) {
  return {words.take_number("the number of units", kMostValues / 2)};
}

std::string GaussianSpec::text() const {
  return fmt::format("gaussian {}", units);
}

Shape GaussianSpec::output_shape(const Shape& /*input*/) const {
  require_within(*this, "the number of units", units, kMostValues / 2);
  return {units};
}

/// Two layers side by side, μ and ln σ², each with fans of its own.
std::vector<LayerTensor> GaussianSpec::tensors(const Shape& input) const {
  const std::int64_t inputs = element_count(input);
  return {{.name = "weight",
           .shape = {inputs, 2 * units},
           .fans = inputs + units,
           .file_layout = FileLayout::transposed},
          {.name = "bias", .shape = {2 * units}}};
}

std::unique_ptr<Layer> GaussianSpec::make(const LayerPlace& place) const {
  return std::make_unique<GaussianLayer>(place);
}

}  // namespace ae
