#pragma once

#include <array>
#include <string_view>

#include "ae/activation.hpp"
#include "ae/layers/layer_kind.hpp"

namespace ae {

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

  static constexpr std::string_view kForm =
      "conv CHANNELS HxW [stride N] [same|valid] [ACTIVATION], transposed_conv likewise";
  static constexpr std::array<std::string_view, 2> kWords{"conv", "transposed_conv"};
  static constexpr LayerTraits kTraits{.wants_image = true, .makes_logits = true};

  static ConvolutionSpec parse(LayerWords& words);
  [[nodiscard]] std::string text() const;
  [[nodiscard]] Shape output_shape(const Shape& input) const;
  [[nodiscard]] std::vector<LayerTensor> tensors(const Shape& input) const;
  [[nodiscard]] std::unique_ptr<Layer> make(const LayerPlace& place) const;
  bool operator==(const ConvolutionSpec&) const = default;
};

}  // namespace ae
