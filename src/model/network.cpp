#include "model/network.hpp"

#include <algorithm>
#include <variant>

namespace ae {

Network::Network(Backend& backend, const ModelSpec& spec, const Parameters& parameters,
                 std::int64_t max_rows, Use use)
    : backend_(backend),
      parameters_(parameters),
      use_(use),
      output_slice_(parameters.slices().back()),
      output_activation_(spec.output_activation()) {
  const std::vector<LayerSpec> specs = spec.layers();
  const std::vector<LayerSlice>& slices = parameters.slices();
  first_learning_ = static_cast<std::size_t>(
      std::find_if(slices.begin(), slices.end(),
                   [](const LayerSlice& slice) { return slice.weights > 0; }) -
      slices.begin());
  for (std::size_t i = 0; i < specs.size(); ++i) {
    LayerPlace place{.backend = backend,
                     .parameters = parameters,
                     .slice = slices[i],
                     .index = static_cast<std::uint32_t>(i),
                     .max_rows = max_rows,
                     .is_training = use == Use::training,
                     .is_last = i + 1 == specs.size(),
                     .is_code = i == spec.code_layer()};
    if (i > first_learning_) place.below = layers_.back().get();
    if (i + 1 < specs.size()) {
      if (const auto* top = std::get_if<TopKSpec>(&specs[i + 1])) place.kept_largest = top->k;
    }
    layers_.push_back(
        std::visit([&](const auto& layer) { return make_layer(layer, place); }, specs[i]));
  }
}

const float* Network::output_bias() const {
  return parameters_.data() + output_slice_.bias;
}

ConstMatrix Network::run(ConstMatrix x, std::size_t first, std::size_t last) {
  const CodeDraw means;
  for (std::size_t i = first; i < last; ++i) x = layers_[i]->forward(x, {.draw = means});
  return x;
}

Matrix Network::run_to_logits(ConstMatrix x, double x_density, const CodeDraw& draw) {
  ForwardPass pass{.draw = draw, .is_training = use_ == Use::training, .x_density = x_density};
  for (const std::unique_ptr<Layer>& layer : layers_) {
    pass.to_logits = layer == layers_.back();
    x = layer->forward(x, pass);
    pass.x_density = layer->output_density(pass.x_density);
  }
  return layers_.back()->output(x.rows);
}

void Network::backward(Matrix logits, ConstMatrix target, const Objective& objective,
                       const CodeDraw& draw, float* gradients, const StepSums& sums) {
  backend_.reconstruction_loss({.loss = objective.loss,
                                .activation = output_activation_,
                                .z = logits,
                                .bias = output_bias(),
                                .channels = output_slice_.biases,
                                .target = target,
                                .gradient_scale = objective.gradient_scale,
                                .dz = logits,
                                .dbias = gradients + output_slice_.bias,
                                .loss_sum = sums.loss});
  BackwardPass pass{.objective = objective,
                    .draw = draw,
                    .sums = sums,
                    .gradients = gradients,
                    .gradient = logits,
                    .is_differentiated = true};
  for (std::size_t i = layers_.size(); i-- > first_learning_;) layers_[i]->backward(pass);
  for (const std::unique_ptr<Layer>& layer : layers_) layer->add_to_mate(gradients);
}

void Network::row_losses(ConstMatrix logits, ConstMatrix target, Loss loss, double* sums) {
  backend_.row_losses({.loss = loss,
                       .activation = output_activation_,
                       .z = logits,
                       .bias = output_bias(),
                       .channels = output_slice_.biases,
                       .target = target,
                       .sums = sums});
}

}  // namespace ae
