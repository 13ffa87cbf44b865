#include "ae/layers/upsample.hpp"

#include <fmt/format.h>

#include "layers/checks.hpp"
#include "layers/layer.hpp"
#include "layers/shapes.hpp"
#include "layers/words.hpp"

namespace ae {

namespace {

class UpsampleLayer final : public Layer {
 public:
  UpsampleLayer(const UpsampleSpec& spec, const LayerPlace& place)
      : Layer(place, /*owns_output=*/true),
        input_(image_shape(slice_.input_shape, spec)),
        factor_(spec.factor) {}

  Matrix forward(Matrix x, const ForwardPass& pass) override {
    const Matrix y = output(x.rows);
    pass.step.add(UpsampleForward{.input = input_, .factor = factor_, .x = x, .y = y}, slice_.name);
    return y;
  }

  void backward(BackwardPass& pass) override {
    const Matrix dx = input_gradient(pass.gradient.rows);
    pass.step.add(
        UpsampleBackward{.input = input_, .factor = factor_, .dy = pass.gradient, .dx = dx},
        slice_.name);
    pass.gradient = dx;
  }

 private:
  ImageShape input_;
  std::int64_t factor_;
};

}  // namespace

UpsampleSpec UpsampleSpec::parse(LayerWords& words) {
  return {words.take_number("the factor", kMaxWindow)};
}

std::string UpsampleSpec::text() const {
  return fmt::format("upsample {}", factor);
}

Shape UpsampleSpec::output_shape(const Shape& input) const {
  require_within(*this, "the factor", factor, kMaxWindow);
  const ImageShape image = image_shape(input, *this);
  return {image.height * factor, image.width * factor, image.channels};
}

std::vector<LayerTensor> UpsampleSpec::tensors(const Shape& /*input*/) const {
  return {};
}

std::unique_ptr<Layer> UpsampleSpec::make(const LayerPlace& place) const {
  return std::make_unique<UpsampleLayer>(*this, place);
}

}  // namespace ae
