#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ae/layers.hpp"

#include "convolution/geometry.hpp"

namespace ae {

/// The most values that a sample or what a layer makes of it may have: any that fits a machine
/// does, and no product of two such numbers overflows.
inline constexpr std::int64_t kMostValues = std::int64_t{1} << 24U;

/// And of a shape's extents, NumPy's limit, and of a model's layers: a small file that describes
/// more is meant to exhaust whoever reads it.
inline constexpr std::size_t kMostExtents = 64;
inline constexpr std::size_t kMostLayers = 10'000;

/// @throws UsageError unless it has extents, not too many, and 1 to kMostValues values; `what` is
/// "the model's input shape".
void require_shape(const Shape& shape, std::string_view what);

/// (height, width) or (height, width, channels). @throws UsageError for other shapes, naming the
/// `layer` that wants an image.
ImageShape image_shape(const Shape& shape, const LayerSpec& layer);

/// Values that lie innermost: a vector's all, an image's channels, of which (height, width) has
/// one.
std::int64_t channels_of(const Shape& shape);

}  // namespace ae
