#pragma once

#include "ae/layers.hpp"

#include "backend/backend.hpp"

namespace ae {

/// (height, width) or (height, width, channels). @throws UsageError for other shapes, naming the
/// `layer` that wants an image.
ImageShape image_shape(const Shape& shape, const LayerSpec& layer);

/// A convolution on an image of that shape, with its padding in numbers.
/// @throws UsageError if the kernel is larger than the image it must not hang over.
Convolution geometry(const ConvolutionSpec& spec, const ImageShape& input);

}  // namespace ae
