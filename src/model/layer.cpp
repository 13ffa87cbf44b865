#include "model/layer.hpp"

namespace ae {

Layer::Layer(const LayerPlace& place, bool owns_output)
    : backend_(place.backend),
      parameters_(place.parameters),
      slice_(place.slice),
      below_(place.below) {
  if (!owns_output) return;
  const std::int64_t size = place.max_rows * slice_.units;
  output_ = DeviceArray<float>(backend_, size);
  // The gradient of the last output takes its place.
  if (place.is_training && !place.is_last) gradient_ = DeviceArray<float>(backend_, size);
}

Matrix Layer::gradient(std::int64_t rows) const {
  return {gradient_.data(), rows, slice_.units};
}

DeviceArray<std::byte> Layer::make_reserve(const LayerPlace& place, Activation activation) const {
  if (!place.is_training || place.is_last) return {};
  const std::size_t bytes = backend_.reserve_bytes(place.max_rows, slice_.units, activation);
  if (bytes == 0) return {};
  return {backend_, static_cast<std::int64_t>(bytes)};
}

void Layer::product_backward(ConstMatrix x, double x_density, const float* w, float* dw,
                             BackwardPass& pass) const {
  DenseBackward op{.layer = slice_.name,
                   .x = x,
                   .w = {w, slice_.inputs, slice_.biases},
                   .dz = pass.gradient,
                   .dw = {dw, slice_.inputs, slice_.biases},
                   .dx = input_gradient(x.rows),
                   .x_density = x_density};
  pass.is_differentiated = false;
  if (below_ != nullptr) {
    if (const std::optional<Activated> below = below_->activated(pass.objective)) {
      op.activation_below = below->activation;
      op.dbias_below = pass.gradients + below->bias;
      op.reserve_below = below->reserve;
      pass.is_differentiated = true;
    }
  }
  backend_.dense_backward(op);
  pass.gradient = op.dx;
}

}  // namespace ae
