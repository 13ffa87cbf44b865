#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ae/activation.hpp"
#include "ae/shape.hpp"

/// What a model is made of. Every layer has one readable form, the same on the command line, in
/// configuration files, in the model file and in what `ae info` prints:
///
///   dense UNITS [tied] [ACTIVATION]
///   conv CHANNELS HxW [stride N] [same|valid] [ACTIVATION]
///   transposed_conv CHANNELS HxW [stride N] [same|valid] [ACTIVATION]
///   max_pool N       upsample N       flatten       reshape HxWxC
///   dropout P        layer_norm [ACTIVATION]        batch_norm [ACTIVATION]
///   gaussian UNITS   top_k K          (the code: last in an encoder)
namespace ae {

/// y = activation(x·W + b), W of shape (inputs, units). Images are flattened, channels innermost.
///
/// A tied layer, in a decoder, learns no W of its own: it takes the transpose of its mate's, which
/// is the i-th dense layer of the encoder for the i-th from the decoder's end. Both then move W.
/// Source: Vincent, Larochelle, Lajoie, Bengio & Manzagol, "Stacked denoising autoencoders", JMLR
/// 11, 2010.
struct DenseSpec {
  std::int64_t units = 0;
  Activation activation = Activation::identity;
  bool tied = false;

  bool operator==(const DenseSpec&) const = default;
};

/// How far a window may hang over the edge of its image, whose outside is zero, as Keras has it.
///   same   output = ⌈input/stride⌉; what is missing is added above and below, left and right, the
///          odd row or column below and right
///   valid  no window hangs over: output = ⌊(input - kernel)/stride⌋ + 1
/// Transposed, input and output change places: input·stride, and (input - 1)·stride + kernel.
enum class Padding : std::uint8_t { same, valid };

std::string_view to_string(Padding padding);

/// A 2-D convolution (a cross-correlation, as in every framework) over images (height, width,
/// channels), or its transpose. W has shape (kernel_height, kernel_width, c, o): c the channels of
/// the larger image, the input, or of the output if transposed.
struct ConvolutionSpec {
  std::int64_t channels = 0;  ///< of the output
  std::int64_t kernel_height = 3;
  std::int64_t kernel_width = 3;
  std::int64_t stride = 1;
  Padding padding = Padding::same;
  Activation activation = Activation::identity;
  bool transposed = false;

  bool operator==(const ConvolutionSpec&) const = default;
};

/// The largest value of each window of size × size, without overlap; the last windows may be cut
/// off by the edge.
struct MaxPoolSpec {
  std::int64_t size = 2;
  bool operator==(const MaxPoolSpec&) const = default;
};

/// Each pixel becomes factor × factor.
struct UpsampleSpec {
  std::int64_t factor = 2;
  bool operator==(const UpsampleSpec&) const = default;
};

/// The same values as one vector.
struct FlattenSpec {
  bool operator==(const FlattenSpec&) const = default;
};

/// The same values in another shape.
struct ReshapeSpec {
  Shape shape;
  bool operator==(const ReshapeSpec&) const = default;
};

/// In training, each value is dropped (becomes zero) with probability `rate`, by itself, and those
/// that stay are divided by 1 - rate, so that a value's mean is what it was; afterwards nothing is
/// dropped. Source: Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov, "Dropout: a simple
/// way to prevent neural networks from overfitting", JMLR 15, 2014; scaled in training
/// ("inverted"), as every framework has it.
struct DropoutSpec {
  float rate = 0.5F;  ///< in [0, 1)
  bool operator==(const DropoutSpec&) const = default;
};

/// y = activation(γ·x̂ + β), x̂ = (x - μ)/√(σ² + ε), by the mean and the (biased) variance of a
/// sample's own values: of a vector's all, of each pixel's channels in an image, which must have
/// several. γ (from 1) and β (from 0) are learned, one a unit or a channel; ε = 1e-5 as PyTorch has
/// it (Keras: 1e-3). Source: Ba, Kiros & Hinton, "Layer normalization", 2016.
struct LayerNormSpec {
  Activation activation = Activation::identity;
  bool operator==(const LayerNormSpec&) const = default;
};

/// The same by the mean and the (biased) variance of each unit over the batch, or of each channel
/// over the batch's pixels. After training, running ones take their place: from 0 and 1, each step
/// takes them a tenth of the way to the batch's mean and unbiased variance, as PyTorch does (Keras:
/// a hundredth, to the biased one). They are part of the model, but nothing that an optimiser
/// changes. Source: Ioffe & Szegedy, "Batch normalization: accelerating deep network training by
/// reducing internal covariate shift", ICML 2015.
struct BatchNormSpec {
  Activation activation = Activation::identity;
  bool operator==(const BatchNormSpec&) const = default;
};

/// A variational code: [μ | ln σ²] = x·W + b, W of shape (inputs, 2·units), and in training a draw
/// μ + σ·ε with ε normal. The code of a sample is its μ. Source: Kingma & Welling, "Auto-encoding
/// variational Bayes", ICLR 2014.
struct GaussianSpec {
  std::int64_t units = 0;
  bool operator==(const GaussianSpec&) const = default;
};

/// The k largest values of the code before it stay, the others become zero, in training and after.
/// Source: Makhzani & Frey, "k-sparse autoencoders", ICLR 2014.
struct TopKSpec {
  std::int64_t k = 0;
  bool operator==(const TopKSpec&) const = default;
};

using LayerSpec =
    std::variant<DenseSpec, ConvolutionSpec, MaxPoolSpec, UpsampleSpec, FlattenSpec, ReshapeSpec,
                 DropoutSpec, LayerNormSpec, BatchNormSpec, GaussianSpec, TopKSpec>;

/// The readable form.
std::string to_string(const LayerSpec& layer);
std::string to_string(std::span<const LayerSpec> layers);

/// From it; `activation` is the one of a layer that has one and does not name it.
/// @throws UsageError saying what a layer looks like.
LayerSpec parse_layer(std::string_view text, Activation activation);

/// The shape of what a layer makes of samples of shape `input`. (height, width) is an image of one
/// channel. @throws UsageError if the layer cannot work on that shape, or has a number that
/// parse_layer would refuse.
Shape output_shape(const LayerSpec& layer, const Shape& input);

/// Numbers that a layer learns, for inputs of shape `input`. A normalisation's γ counts as weights,
/// its β as biases. All three @throw as output_shape.
std::int64_t weight_count(const LayerSpec& layer, const Shape& input);
std::int64_t bias_count(const LayerSpec& layer, const Shape& input);

/// Numbers that a layer keeps without learning them by gradients: running means and variances.
std::int64_t state_count(const LayerSpec& layer, const Shape& input);

}  // namespace ae
