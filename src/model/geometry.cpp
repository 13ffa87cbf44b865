#include "model/geometry.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "ae/error.hpp"

namespace ae {

namespace {

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

}  // namespace

void require_shape(const Shape& shape, std::string_view what) {
  if (shape.empty()) throw UsageError(fmt::format("{} has no extents, give one", what));
  if (shape.size() > kMostExtents) {
    throw UsageError(fmt::format("{} has {} extents, it can have {}; leave out those that are 1",
                                 what, shape.size(), kMostExtents));
  }
  std::int64_t values = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 1 || extent > kMostValues || values * extent > kMostValues) {
      throw UsageError(
          fmt::format("{} {} must have 1 to {} values", what, to_string(shape), kMostValues));
    }
    values *= extent;
  }
}

ImageShape image_shape(const Shape& shape, const LayerSpec& layer) {
  if (shape.size() == 2) return {shape[0], shape[1], 1};
  if (shape.size() == 3) return {shape[0], shape[1], shape[2]};
  throw UsageError(
      fmt::format("'{}' works on images, HxW or HxWxC, but is given {}; put a reshape before it",
                  to_string(layer), to_string(shape)));
}

bool is_normalization(const LayerSpec& layer) {
  return std::holds_alternative<LayerNormSpec>(layer) ||
         std::holds_alternative<BatchNormSpec>(layer);
}

std::int64_t channels_of(const Shape& shape) {
  return shape.size() == 2 ? 1 : shape.back();
}

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

}  // namespace ae
