#include "model/network.hpp"

#include <algorithm>
#include <variant>

namespace ae {

Network::Network(Device& device, const ModelSpec& spec, const Parameters& parameters,
                 std::int64_t max_rows, Use use)
    : parameters_(parameters),
      use_(use),
      output_bias_(parameters.slices().back().tensor("bias")),
      output_activation_(spec.output_activation()),
      code_layer_(spec.encoder.size() - 1) {
  const std::vector<LayerSpec> specs = spec.layers();
  const std::vector<LayerSlice>& slices = parameters.slices();
  first_learning_ = static_cast<std::size_t>(
      std::find_if(slices.begin(), slices.end(),
                   [](const LayerSlice& slice) { return slice.parameter_count() > 0; }) -
      slices.begin());
  for (std::size_t i = 0; i < specs.size(); ++i) {
    LayerPlace place{.device = device,
                     .parameters = parameters.data(),
                     .slice = slices[i],
                     .index = static_cast<std::uint32_t>(i),
                     .max_rows = max_rows,
                     .is_training = use == Use::training,
                     .is_last = i + 1 == specs.size()};
    if (i > first_learning_) place.below = layers_.back().get();
    layers_.push_back(std::visit([&](const auto& layer) { return layer.make(place); }, specs[i]));
  }
}

ConstMatrix Network::output_bias() const {
  return vector_of<const float>(parameters_.data() + output_bias_.offset, output_bias_.size());
}

Matrix Network::run(Step& step, Matrix x, std::size_t first, std::size_t last) {
  const CodeDraw means;
  for (std::size_t i = first; i < last; ++i) {
    x = layers_[i]->forward(x, {.step = step, .draw = means});
  }
  return x;
}

Matrix Network::run_to_logits(Step& step, Matrix x, double x_density, const CodeDraw& draw) {
  ForwardPass pass{
      .step = step, .draw = draw, .is_training = use_ == Use::training, .x_density = x_density};
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    pass.to_logits = i + 1 == layers_.size();
    x = layers_[i]->forward(x, pass);
    pass.x_density = layers_[i]->output_density(pass.x_density);
    if (i == code_layer_) code_ = x;
  }
  return x;
}

void Network::backward(Step& step, Matrix logits, ConstMatrix target, const Objective& objective,
                       const CodeDraw& draw, float* gradients, const StepSums& sums) {
  step.add(
      ReconstructionLoss{.loss = objective.loss,
                         .activation = output_activation_,
                         .z = logits,
                         .bias = output_bias(),
                         .target = target,
                         .gradient_scale = objective.gradient_scale,
                         .dz = logits,
                         .dbias = vector_of(gradients + output_bias_.offset, output_bias_.size()),
                         .loss_sum = sums.loss});
  BackwardPass pass{.step = step,
                    .objective = objective,
                    .draw = draw,
                    .sums = sums,
                    .gradients = gradients,
                    .gradient = logits};
  for (std::size_t i = layers_.size(); i-- > first_learning_;) {
    pass.from_logits = i + 1 == layers_.size();
    if (i == code_layer_ && objective.sparsity.is_on()) {
      step.add(SparsityBackward{.sparsity = objective.sparsity,
                                .y = code_,
                                .dy = pass.gradient,
                                .penalty_sum = sums.penalty},
               parameters_.slices()[i].name);
    }
    layers_[i]->backward(pass);
  }
  for (const std::unique_ptr<Layer>& layer : layers_) layer->finish_backward(pass);
}

void Network::row_losses(Step& step, ConstMatrix logits, ConstMatrix target, Loss loss,
                         Tensor<double> sums) {
  step.add(RowLosses{.loss = loss,
                     .activation = output_activation_,
                     .z = logits,
                     .bias = output_bias(),
                     .target = target,
                     .sums = sums});
}

}  // namespace ae
