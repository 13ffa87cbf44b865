#include "ae/layers/batch_norm.hpp"

#include <fmt/format.h>

#include "layers/checks.hpp"
#include "layers/norm_layer.hpp"
#include "layers/shapes.hpp"
#include "layers/words.hpp"

namespace ae {

namespace {

/// By each unit's or channel's values over the batch, or by what they were in training.
class BatchNormLayer final : public NormLayer {
 public:
  BatchNormLayer(const BatchNormSpec& spec, const LayerPlace& place)
      : NormLayer(spec.activation, place, 2 * channels_of(place.slice.input_shape)),
        running_mean_(slice_.tensor("running_mean")) {}

  Matrix forward(Matrix x, const ForwardPass& pass) override {
    auto op = forward_of<BatchNormForward>(x);
    op.running = {parameters_ + running_mean_.offset, 2, channels()};
    if (pass.is_training) op.mean_var = mean_var();
    pass.step.add(op, slice_.name);
    return op.y;
  }

  void backward(BackwardPass& pass) override {
    auto op = gradients_of<BatchNormBackward>(pass);
    op.mean_var = mean_var();
    pass.step.add(op, slice_.name);
  }

 private:
  [[nodiscard]] Matrix mean_var() const { return {statistics_.data(), 2, channels()}; }

  const TensorSlice& running_mean_;  ///< the running variance right behind it
};

}  // namespace

BatchNormSpec BatchNormSpec::parse(LayerWords& words) {
  return {words.take_activation()};
}

std::string BatchNormSpec::text() const {
  return fmt::format("batch_norm {}", to_string(activation));
}

Shape BatchNormSpec::output_shape(const Shape& input) const {
  require_known(activation);
  return input;
}

std::vector<LayerTensor> BatchNormSpec::tensors(const Shape& input) const {
  const std::int64_t channels = channels_of(input);
  std::vector<LayerTensor> tensors = norm_tensors(channels);
  tensors.push_back({.name = "running_mean", .shape = {channels}, .is_trainable = false});
  tensors.push_back({.name = "running_var",
                     .shape = {channels},
                     .initial = 1,
                     .is_trainable = false,
                     .is_adjacent = true});
  return tensors;
}

std::unique_ptr<Layer> BatchNormSpec::make(const LayerPlace& place) const {
  return std::make_unique<BatchNormLayer>(*this, place);
}

}  // namespace ae
