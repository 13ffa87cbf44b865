#include "model/network.hpp"

#include <utility>

namespace ae {

Parameters::Parameters(Backend& backend, const Model& model)
    : slices_(layer_slices(model.spec)), values_(backend, parameter_floats(model.spec)) {
  values_.upload(model.parameters);
}

Network::Network(Backend& backend, const ModelSpec& spec, const Parameters& parameters,
                 std::int64_t max_rows, Use use)
    : backend_(backend), parameters_(parameters) {
  const std::vector<DenseSpec> specs = spec.layers();
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const std::int64_t size = max_rows * specs[i].units;
    Layer layer{
        parameters.slices()[i], specs[i].activation, DeviceArray<float>(backend, size), {}, {}};
    const bool is_output = i + 1 == specs.size();
    if (use == Use::training && !is_output) {
      layer.gradient = DeviceArray<float>(backend, size);
      const std::size_t reserve =
          backend.reserve_bytes(max_rows, specs[i].units, specs[i].activation);
      if (reserve > 0) {
        layer.reserve = DeviceArray<std::byte>(backend, static_cast<std::int64_t>(reserve));
      }
    }
    layers_.push_back(std::move(layer));
  }
}

ConstMatrix Network::weight(const Layer& layer) const {
  return {parameters_.data() + layer.slice.weight, layer.slice.inputs, layer.slice.units};
}

const float* Network::bias(const Layer& layer) const {
  return parameters_.data() + layer.slice.bias;
}

ConstMatrix Network::run(ConstMatrix x, std::size_t first, std::size_t last) {
  for (std::size_t i = first; i < last; ++i) {
    const Layer& layer = layers_[i];
    const Matrix y{layer.output.data(), x.rows, layer.slice.units};
    backend_.dense_forward({.layer = layer.slice.name,
                            .x = x,
                            .w = weight(layer),
                            .bias = bias(layer),
                            .activation = layer.activation,
                            .y = y});
    x = y;
  }
  return x;
}

Matrix Network::run_to_logits(ConstMatrix x, double x_density) {
  Matrix y;
  for (const Layer& layer : layers_) {
    const bool is_output = &layer == &layers_.back();
    y = {layer.output.data(), x.rows, layer.slice.units};
    backend_.dense_forward({.layer = layer.slice.name,
                            .x = x,
                            .w = weight(layer),
                            .bias = is_output ? nullptr : bias(layer),
                            .activation = is_output ? Activation::identity : layer.activation,
                            .y = y,
                            .reserve = layer.reserve.data(),
                            .x_density = x_density});
    x = y;
    x_density = 1;
  }
  return y;
}

void Network::backward(ConstMatrix x, double x_density, Matrix logits, Loss loss,
                       float gradient_scale, float* gradients, double* loss_sum) {
  const Layer& output = layers_.back();
  backend_.reconstruction_loss({.loss = loss,
                                .activation = output.activation,
                                .z = logits,
                                .bias = bias(output),
                                .target = x,
                                .gradient_scale = gradient_scale,
                                .dz = logits,
                                .dbias = gradients + output.slice.bias,
                                .loss_sum = loss_sum});
  Matrix dz = logits;
  for (std::size_t i = layers_.size(); i-- > 0;) {
    Layer& layer = layers_[i];
    DenseBackward op;
    op.layer = layer.slice.name;
    op.w = weight(layer);
    op.dz = dz;
    op.dw = {gradients + layer.slice.weight, layer.slice.inputs, layer.slice.units};
    if (i == 0) {
      op.x = x;
      op.x_density = x_density;
    } else {
      Layer& below = layers_[i - 1];
      op.x = {below.output.data(), dz.rows, below.slice.units};
      op.dx = {below.gradient.data(), dz.rows, below.slice.units};
      op.activation_below = below.activation;
      op.dbias_below = gradients + below.slice.bias;
      op.reserve_below = below.reserve.data();
    }
    backend_.dense_backward(op);
    dz = op.dx;
  }
}

void Network::row_losses(ConstMatrix logits, ConstMatrix target, Loss loss, double* sums) {
  const Layer& output = layers_.back();
  backend_.row_losses({.loss = loss,
                       .activation = output.activation,
                       .z = logits,
                       .bias = bias(output),
                       .target = target,
                       .sums = sums});
}

}  // namespace ae
