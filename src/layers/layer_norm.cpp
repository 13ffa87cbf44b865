#include "ae/layers/layer_norm.hpp"

#include <fmt/format.h>

#include "ae/error.hpp"

#include "layers/checks.hpp"
#include "layers/norm_layer.hpp"
#include "layers/shapes.hpp"
#include "layers/words.hpp"

namespace ae {

namespace {

/// By each sample's own values: a mean and a scale for each of its groups of channels.
class LayerNormLayer final : public NormLayer {
 public:
  LayerNormLayer(const LayerNormSpec& spec, const LayerPlace& place)
      : NormLayer(spec.activation, place,
                  2 * place.max_rows * place.slice.units / channels_of(place.slice.input_shape)) {}

  Matrix forward(Matrix x, const ForwardPass& pass) override {
    auto op = forward_of<LayerNormForward>(x);
    if (pass.is_training) op.mean_rstd = mean_rstd();
    pass.step.add(op, slice_.name);
    return op.y;
  }

  void backward(BackwardPass& pass) override {
    auto op = gradients_of<LayerNormBackward>(pass);
    op.mean_rstd = mean_rstd();
    pass.step.add(op, slice_.name);
  }

 private:
  [[nodiscard]] Matrix mean_rstd() const { return {statistics_.data(), x_.size() / channels(), 2}; }
};

}  // namespace

LayerNormSpec LayerNormSpec::parse(LayerWords& words) {
  return {words.take_activation()};
}

std::string LayerNormSpec::text() const {
  return fmt::format("layer_norm {}", to_string(activation));
}

Shape LayerNormSpec::output_shape(const Shape& input) const {
  require_known(activation);
  if (channels_of(input) < 2) {
    throw UsageError(
        fmt::format("'{}' is given {}, a single value at a time, of which nothing would be left; "
                    "use batch_norm, or flatten before it",
                    text(), to_string(input)));
  }
  return input;
}

std::vector<LayerTensor> LayerNormSpec::tensors(const Shape& input) const {
  return norm_tensors(channels_of(input));
}

std::unique_ptr<Layer> LayerNormSpec::make(const LayerPlace& place) const {
  return std::make_unique<LayerNormLayer>(*this, place);
}

}  // namespace ae
