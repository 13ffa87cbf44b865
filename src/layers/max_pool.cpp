#include "ae/layers/max_pool.hpp"

#include <fmt/format.h>

#include "layers/checks.hpp"
#include "layers/layer.hpp"
#include "layers/shapes.hpp"
#include "layers/words.hpp"

namespace ae {

namespace {

class MaxPoolLayer final : public Layer {
 public:
  MaxPoolLayer(const MaxPoolSpec& spec, const LayerPlace& place)
      : Layer(place, /*owns_output=*/true),
        input_(image_shape(slice_.input_shape, spec)),
        size_(spec.size) {}

  Matrix forward(Matrix x, const ForwardPass& pass) override {
    x_ = x;
    const Matrix y = output(x.rows);
    pass.step.add(MaxPoolForward{.input = input_, .size = size_, .x = x, .y = y}, slice_.name);
    return y;
  }

  void backward(BackwardPass& pass) override {
    const Matrix dx = input_gradient(x_.rows);
    pass.step.add(
        MaxPoolBackward{.input = input_, .size = size_, .x = x_, .dy = pass.gradient, .dx = dx},
        slice_.name);
    pass.gradient = dx;
  }

 private:
  ImageShape input_;
  std::int64_t size_;
  Matrix x_;
};

}  // namespace

MaxPoolSpec MaxPoolSpec::parse(LayerWords& words) {
  return {words.take_number("the window's size", kMaxWindow)};
}

std::string MaxPoolSpec::text() const {
  return fmt::format("max_pool {}", size);
}

Shape MaxPoolSpec::output_shape(const Shape& input) const {
  require_within(*this, "the window's size", size, kMaxWindow);
  const ImageShape image = image_shape(input, *this);
  return {(image.height + size - 1) / size, (image.width + size - 1) / size, image.channels};
}

std::vector<LayerTensor> MaxPoolSpec::tensors(const Shape& /*input*/) const {
  return {};
}

std::unique_ptr<Layer> MaxPoolSpec::make(const LayerPlace& place) const {
  return std::make_unique<MaxPoolLayer>(*this, place);
}

}  // namespace ae
