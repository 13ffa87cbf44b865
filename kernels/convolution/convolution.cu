// The convolutions of layers: by a library where the device has one that takes the geometry, by our
// kernels elsewhere. Bias and activation are a kernel of their own behind either.

#include "activation/activation_kernels.hpp"
#include "convolution/convolution.hpp"
#include "convolution/convolution_kernels.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

/// y = convolution(x, W).
void convolve_by_best(const Convolution& convolution, Towards towards, const float* x,
                      const float* w, float* y, std::int64_t batch, LaunchContext& context) {
  const ConvolutionResult result =
      towards == Towards::map ? ConvolutionResult::maps : ConvolutionResult::images;
  if (context.convolve({convolution, result, batch, x, w, y})) return;
  convolve(convolution, towards, x, w, y, batch, context);
}

}  // namespace

void launch(const ConvolutionForward& op, LaunchContext& context) {
  const Convolution& convolution = op.convolution;
  convolve_by_best(convolution, convolution.transposed ? Towards::image : Towards::map, op.x.data,
                   op.w.data, op.y.data, op.y.rows, context);
  const std::int64_t channels = convolution.output().channels;
  const std::int64_t cols = columns_of_repeats(op.y.cols, channels);
  if (cols == 0) return;
  bias_activation(op.activation, op.bias.data, op.y.data, op.z.data, op.y.size() / cols, cols,
                  context, channels);
}

void launch(const ConvolutionBackward& op, LaunchContext& context) {
  const Convolution& convolution = op.convolution;
  const float* const images = convolution.transposed ? op.dz.data : op.x.data;
  const float* const maps = convolution.transposed ? op.x.data : op.dz.data;
  const std::int64_t batch = op.dz.rows;
  if (!context.convolve(
          {convolution, ConvolutionResult::weights, batch, images, maps, op.dw.data})) {
    convolution_weights(convolution, images, maps, op.dw.data, batch, context);
  }
  if (!op.dx.exists()) return;
  convolve_by_best(convolution, convolution.transposed ? Towards::map : Towards::image, op.dz.data,
                   op.w.data, op.dx.data, batch, context);
}

}  // namespace ae::AE_DEVICE_NAMESPACE
