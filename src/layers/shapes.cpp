#include "layers/shapes.hpp"

#include <fmt/format.h>

#include "ae/error.hpp"

namespace ae {

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

std::int64_t channels_of(const Shape& shape) {
  return shape.size() == 2 ? 1 : shape.back();
}

}  // namespace ae
