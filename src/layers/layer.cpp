#include "layers/layer.hpp"

#include "formulas/activations.hpp"

namespace ae {

Layer::Layer(const LayerPlace& place, bool owns_output)
    : device_(place.device),
      parameters_(place.parameters),
      slice_(place.slice),
      below_(place.below) {
  if (!owns_output) return;
  const std::int64_t size = place.max_rows * slice_.units;
  output_ = DeviceArray<float>(device_, size);
  // The gradient of the last output takes its place.
  if (place.is_training && !place.is_last) gradient_ = DeviceArray<float>(device_, size);
}

Matrix Layer::gradient(std::int64_t rows) const {
  return {gradient_.data(), rows, slice_.units};
}

DeviceArray<float> Layer::make_saved_input(const LayerPlace& place, Activation activation) const {
  if (!place.is_training || place.is_last || !slope_from_input(activation)) return {};
  return {device_, place.max_rows * slice_.units};
}

void Layer::activation_backward(BackwardPass& pass, Activation activation, const TensorSlice& bias,
                                const DeviceArray<float>& z) const {
  if (pass.from_logits) return;
  const std::int64_t rows = pass.gradient.rows;
  pass.step.add(ActivationBackward{.activation = activation,
                                   .y = output(rows),
                                   .z = saved_input(z, rows),
                                   .dy = pass.gradient,
                                   .channels = bias.size(),
                                   .dbias = gradients(bias, pass)},
                slice_.name);
}

void Layer::product_backward(BackwardPass& pass, ConstMatrix x, double x_density, ConstMatrix w,
                             ConstMatrix dz, Matrix dw) const {
  const Matrix dx = input_gradient(x.rows);
  pass.step.add(DenseBackward{.x = x, .w = w, .dz = dz, .dw = dw, .dx = dx, .x_density = x_density},
                slice_.name);
  pass.gradient = dx;
}

}  // namespace ae
