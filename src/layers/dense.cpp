#include "ae/layers/dense.hpp"

#include <fmt/format.h>

#include "layers/checks.hpp"
#include "layers/layer.hpp"
#include "layers/shapes.hpp"
#include "layers/words.hpp"

namespace ae {

namespace {

/// y = activation(x·W + b). A tied layer makes its W from its partner's in each forward pass, since
/// that one moves between them, and has ∂W to itself until its partner's is there.
class DenseLayer final : public Layer {
 public:
  DenseLayer(const DenseSpec& spec, const LayerPlace& place)
      : Layer(place, /*owns_output=*/true),
        activation_(spec.activation),
        is_tied_(spec.tied),
        weight_(spec.tied ? slice_.partner_weight : slice_.tensor("weight")),
        bias_(slice_.tensor("bias")),
        z_(make_saved_input(place, spec.activation)) {
    if (!is_tied_) return;
    tied_weight_ = DeviceArray<float>(device_, weight_.size());
    if (place.is_training) tied_gradient_ = DeviceArray<float>(device_, weight_.size());
  }

  Matrix forward(Matrix x, const ForwardPass& pass) override {
    x_ = x;
    x_density_ = pass.x_density;
    const Matrix y = output(x.rows);
    if (is_tied_) {
      pass.step.add(Transpose{.from = partners(parameters_), .to = w()}, slice_.name);
    }
    pass.step.add(DenseForward{.x = x,
                               .w = w(),
                               .bias = pass.to_logits ? ConstMatrix{} : ConstMatrix(values(bias_)),
                               .activation = pass.to_logits ? Activation::identity : activation_,
                               .y = y,
                               .z = saved_input(z_, x.rows),
                               .x_density = x_density_},
                  slice_.name);
    return y;
  }

  void backward(BackwardPass& pass) override {
    activation_backward(pass, activation_, bias_, z_);
    product_backward(
        pass, x_, x_density_, w(), pass.gradient,
        is_tied_ ? shaped(tied_gradient_.data()) : shaped(pass.gradients + weight_.offset));
  }

  void finish_backward(const BackwardPass& pass) const override {
    if (!is_tied_) return;
    pass.step.add(
        Transpose{
            .from = shaped(tied_gradient_.data()), .to = partners(pass.gradients), .add = true},
        slice_.name);
  }

 private:
  [[nodiscard]] Matrix shaped(float* data) const { return {data, slice_.inputs, slice_.units}; }
  [[nodiscard]] Matrix w() const {
    return shaped(is_tied_ ? tied_weight_.data() : parameters_ + weight_.offset);
  }
  /// The partner's, in the parameters or their gradients.
  [[nodiscard]] Matrix partners(float* all) const {
    return {all + weight_.offset, slice_.units, slice_.inputs};
  }

  Activation activation_;
  bool is_tied_;
  const TensorSlice& weight_;  ///< of a tied layer, the partner's
  const TensorSlice& bias_;
  DeviceArray<float> z_;              ///< where the activation's derivative needs it
  DeviceArray<float> tied_weight_;    ///< of a tied layer, (inputs, units)
  DeviceArray<float> tied_gradient_;  ///< and its gradient
  Matrix x_;
  double x_density_ = 1;
};

}  // namespace

DenseSpec DenseSpec::parse(LayerWords& words) {
  DenseSpec spec{.units = words.take_number("the number of units", kMostValues)};
  spec.tied = words.take_option("tied");
  spec.activation = words.take_activation();
  return spec;
}

std::string DenseSpec::text() const {
  return fmt::format("dense {}{} {}", units, tied ? " tied" : "", to_string(activation));
}

Shape DenseSpec::output_shape(const Shape& /*input*/) const {
  require_known(activation);
  return {units};
}

std::vector<LayerTensor> DenseSpec::tensors(const Shape& input) const {
  const std::int64_t inputs = element_count(input);
  LayerTensor bias{.name = "bias", .shape = {units}};
  if (tied) return {std::move(bias)};
  return {{.name = "weight",
           .shape = {inputs, units},
           .fans = inputs + units,
           .file_layout = FileLayout::transposed},
          std::move(bias)};
}

std::unique_ptr<Layer> DenseSpec::make(const LayerPlace& place) const {
  return std::make_unique<DenseLayer>(*this, place);
}

}  // namespace ae
