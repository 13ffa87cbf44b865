#include "ae/layers/convolution.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "layers/checks.hpp"
#include "layers/layer.hpp"
#include "layers/names.hpp"
#include "layers/shapes.hpp"
#include "layers/words.hpp"

namespace ae {

namespace {

constexpr Names<Padding, 2> kPaddings{{{Padding::same, "same"}, {Padding::valid, "valid"}}};

/// One axis: where the smaller side, the map, looks into the larger one, the image.
struct Axis {
  std::int64_t image;
  std::int64_t map;
  std::int64_t before;  ///< zeros before the image
};

/// Zeros before an image so that `map` windows cover it, half of what is missing.
std::int64_t zeros_before(std::int64_t image, std::int64_t map, std::int64_t kernel,
                          std::int64_t stride) {
  return std::max((map - 1) * stride + kernel - image, std::int64_t{0}) / 2;
}

Axis axis(const ConvolutionSpec& spec, std::int64_t input, std::int64_t kernel) {
  if (spec.transposed) {
    if (spec.padding == Padding::valid) return {(input - 1) * spec.stride + kernel, input, 0};
    const std::int64_t image = input * spec.stride;
    return {image, input, zeros_before(image, input, kernel, spec.stride)};
  }
  if (spec.padding == Padding::valid) {
    if (kernel > input) {
      throw UsageError(
          fmt::format("'{}' has a kernel larger than its image's {} pixels, make it smaller or its "
                      "padding same",
                      to_string(LayerSpec(spec)), input));
    }
    return {input, (input - kernel) / spec.stride + 1, 0};
  }
  const std::int64_t map = (input + spec.stride - 1) / spec.stride;
  return {input, map, zeros_before(input, map, kernel, spec.stride)};
}

/// A convolution on an image of that shape, with its padding in numbers.
/// @throws UsageError if the kernel is larger than the image it must not hang over.
Convolution geometry(const ConvolutionSpec& spec, const ImageShape& input) {
  const Axis vertical = axis(spec, input.height, spec.kernel_height);
  const Axis horizontal = axis(spec, input.width, spec.kernel_width);
  const std::int64_t of_image = spec.transposed ? spec.channels : input.channels;
  const std::int64_t of_map = spec.transposed ? input.channels : spec.channels;
  return {.image = {vertical.image, horizontal.image, of_image},
          .map = {vertical.map, horizontal.map, of_map},
          .kernel_height = spec.kernel_height,
          .kernel_width = spec.kernel_width,
          .stride = spec.stride,
          .top = vertical.before,
          .left = horizontal.before,
          .transposed = spec.transposed};
}

/// y = activation(convolution(x, W) + b).
class ConvolutionLayer final : public Layer {
 public:
  ConvolutionLayer(const ConvolutionSpec& spec, const LayerPlace& place)
      : Layer(place, /*owns_output=*/true),
        convolution_(geometry(spec, image_shape(slice_.input_shape, spec))),
        activation_(spec.activation),
        weight_(slice_.tensor("weight")),
        bias_(slice_.tensor("bias")),
        z_(make_saved_input(place, spec.activation)) {}

  Matrix forward(Matrix x, const ForwardPass& pass) override {
    x_ = x;
    const Matrix y = output(x.rows);
    pass.step.add(
        ConvolutionForward{.convolution = convolution_,
                           .x = x,
                           .w = values(weight_),
                           .bias = pass.to_logits ? ConstMatrix{} : ConstMatrix(values(bias_)),
                           .activation = pass.to_logits ? Activation::identity : activation_,
                           .y = y,
                           .z = saved_input(z_, x.rows)},
        slice_.name);
    return y;
  }

  void backward(BackwardPass& pass) override {
    activation_backward(pass, activation_, bias_, z_);
    const Matrix dx = input_gradient(x_.rows);
    pass.step.add(ConvolutionBackward{.convolution = convolution_,
                                      .x = x_,
                                      .w = values(weight_),
                                      .dz = pass.gradient,
                                      .dw = gradients(weight_, pass),
                                      .dx = dx},
                  slice_.name);
    pass.gradient = dx;
  }

 private:
  Convolution convolution_;
  Activation activation_;
  const TensorSlice& weight_;
  const TensorSlice& bias_;
  DeviceArray<float> z_;  ///< where the activation's derivative needs it
  Matrix x_;
};

}  // namespace

std::string_view to_string(Padding padding) {
  return name_of(kPaddings, padding);
}

ConvolutionSpec ConvolutionSpec::parse(LayerWords& words) {
  ConvolutionSpec spec{.activation = words.activation(),
                       .transposed = words.kind() == "transposed_conv"};
  spec.channels = words.take_number("the number of channels", kMaxChannels);
  const Shape kernel = words.take_extents("the kernel, as 3x3,", kMaxWindow);
  if (kernel.size() != 2) words.refuse("a kernel is HxW, as 3x3");
  spec.kernel_height = kernel[0];
  spec.kernel_width = kernel[1];
  while (!words.done()) {
    if (words.take_option("stride")) {
      spec.stride = words.take_number("the stride", kMaxWindow);
    } else if (words.take_option("same")) {
      spec.padding = Padding::same;
    } else if (words.take_option("valid")) {
      spec.padding = Padding::valid;
    } else {
      spec.activation = words.take_activation();
    }
  }
  return spec;
}

std::string ConvolutionSpec::text() const {
  return fmt::format("{} {} {}x{}{}{} {}", transposed ? "transposed_conv" : "conv", channels,
                     kernel_height, kernel_width,
                     stride == 1 ? "" : fmt::format(" stride {}", stride),
                     padding == Padding::same ? "" : " valid", to_string(activation));
}

Shape ConvolutionSpec::output_shape(const Shape& input) const {
  require_within(*this, "the number of channels", channels, kMaxChannels);
  require_within(*this, "the kernel's height", kernel_height, kMaxWindow);
  require_within(*this, "the kernel's width", kernel_width, kMaxWindow);
  require_within(*this, "the stride", stride, kMaxWindow);
  require_known(kPaddings, "padding", padding);
  require_known(activation);
  const Convolution convolution = geometry(*this, image_shape(input, *this));
  const ImageShape& output = convolution.output();
  return {output.height, output.width, output.channels};
}

std::vector<LayerTensor> ConvolutionSpec::tensors(const Shape& input) const {
  const Convolution shape = geometry(*this, image_shape(input, *this));
  return {{.name = "weight",
           .shape = {kernel_height, kernel_width, shape.image.channels, shape.map.channels},
           .fans = kernel_height * kernel_width * (shape.image.channels + shape.map.channels),
           .file_layout = FileLayout::kernel},
          {.name = "bias", .shape = {channels}}};
}

std::unique_ptr<Layer> ConvolutionSpec::make(const LayerPlace& place) const {
  return std::make_unique<ConvolutionLayer>(*this, place);
}

}  // namespace ae
