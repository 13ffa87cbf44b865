#pragma once

#include <cstdint>

#include "common/launch_context.hpp"
#include "convolution/geometry.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

/// y = convolution(x, W), no bias, in either direction: towards the map, x are images and y maps;
/// towards the image, the other way round.
void convolve(const Convolution& convolution, Towards towards, const float* x, const float* w,
              float* y, std::int64_t batch, LaunchContext& context);

/// dW[ky, kx, c, o] = Σ over batch, oy, ox of images[…, oy·stride + ky - top, …, c]·maps[oy, ox,
/// o]: the gradient both ways, with x and dz for images and maps, or transposed, dz and x.
void convolution_weights(const Convolution& convolution, const float* images, const float* maps,
                         float* dw, std::int64_t batch, LaunchContext& context);

}  // namespace ae::AE_DEVICE_NAMESPACE
