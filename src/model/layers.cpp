#include "ae/layers.hpp"

#include <limits>
#include <optional>
#include <sstream>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "formulas/activations.hpp"
#include "io/numbers.hpp"
#include "model/geometry.hpp"
#include "model/names.hpp"

namespace ae {

namespace {

constexpr auto kActivations = names_of(activations::Activations{});
constexpr Names<Padding, 2> kPaddings{{{Padding::same, "same"}, {Padding::valid, "valid"}}};

constexpr const char* kForms =
    "layers are: dense UNITS [tied] [ACTIVATION], conv CHANNELS HxW [stride N] [same|valid] "
    "[ACTIVATION], "
    "transposed_conv likewise, max_pool N, upsample N, flatten, reshape HxWxC, "
    "dropout P, layer_norm [ACTIVATION], batch_norm [ACTIVATION], gaussian UNITS, top_k K";

/// Bounds that any layer that fits a machine keeps, and within which no size overflows.
constexpr std::int64_t kMostChannels = std::int64_t{1} << 16U;
constexpr std::int64_t kLargestWindow = 255;

template <typename Enum, std::size_t kSize>
std::optional<Enum> find(const Names<Enum, kSize>& names, std::string_view wanted) {
  for (const auto& [value, name] : names) {
    if (name == wanted) return value;
  }
  return std::nullopt;
}

/// The words of one layer, taken one after the other.
class Words {
 public:
  explicit Words(std::string_view text) : text_(text) {
    std::istringstream stream{std::string(text)};
    for (std::string word; stream >> word;) words_.push_back(word);
  }

  [[noreturn]] void refuse(const std::string& why) const {
    throw UsageError(fmt::format("'{}' is not a layer, {}; {}", text_, why, kForms));
  }

  [[nodiscard]] bool done() const { return next_ == words_.size(); }
  [[nodiscard]] const std::string& peek() const { return words_[next_]; }
  std::string take(const char* what) {
    if (done()) refuse(fmt::format("{} is missing", what));
    return words_[next_++];
  }
  std::int64_t take_number(const char* what, std::int64_t most) {
    return number(take(what), what, most);
  }
  /// In [0, 1).
  float take_probability(const char* what) {
    const std::string word = take(what);
    const std::optional<float> value = io::to_float(word);
    if (!value || !(*value >= 0 && *value < 1)) {
      refuse(fmt::format("{} must be a number from 0 to below 1, not '{}'", what, word));
    }
    return *value;
  }
  /// "3x3", "7x7x32"
  Shape take_extents(const char* what, std::int64_t most) {
    const std::string word = take(what);
    Shape extents;
    for (std::size_t begin = 0; begin <= word.size();) {
      const std::size_t end = std::min(word.find('x', begin), word.size());
      extents.push_back(number(word.substr(begin, end - begin), what, most));
      begin = end + 1;
    }
    return extents;
  }
  void require_end() const {
    if (!done()) refuse(fmt::format("'{}' is one word too many", peek()));
  }

 private:
  [[nodiscard]] std::int64_t number(const std::string& word, const char* what,
                                    std::int64_t most) const {
    const auto value = io::to_integer<std::int64_t>(word);
    if (!value || *value < 1 || *value > most) {
      refuse(fmt::format("{} must be a whole number from 1 to {}, in decimal, not '{}'", what, most,
                         word));
    }
    return *value;
  }

  std::string_view text_;
  std::vector<std::string> words_;
  std::size_t next_ = 0;
};

/// Whether the next word is `option`; then it is taken.
bool take_option(Words& words, std::string_view option) {
  const bool is_next = !words.done() && words.peek() == option;
  if (is_next) words.take("an option");
  return is_next;
}

Activation take_activation(Words& words, Activation otherwise) {
  return words.done() ? otherwise : parse_activation(words.take("the activation"));
}

ConvolutionSpec take_convolution(Words& words, Activation activation, bool transposed) {
  ConvolutionSpec spec{.activation = activation, .transposed = transposed};
  spec.channels = words.take_number("the number of channels", kMostChannels);
  const Shape kernel = words.take_extents("the kernel, as 3x3,", kLargestWindow);
  if (kernel.size() != 2) words.refuse("a kernel is HxW, as 3x3");
  spec.kernel_height = kernel[0];
  spec.kernel_width = kernel[1];
  while (!words.done()) {
    const std::string word = words.take("an option");
    if (word == "stride") {
      spec.stride = words.take_number("the stride", kLargestWindow);
    } else if (const std::optional<Padding> padding = find(kPaddings, word)) {
      spec.padding = *padding;
    } else {
      spec.activation = parse_activation(word);
    }
  }
  return spec;
}

std::string text_of(const DenseSpec& layer) {
  return fmt::format("dense {}{} {}", layer.units, layer.tied ? " tied" : "",
                     to_string(layer.activation));
}
std::string text_of(const ConvolutionSpec& layer) {
  return fmt::format("{} {} {}x{}{}{} {}", layer.transposed ? "transposed_conv" : "conv",
                     layer.channels, layer.kernel_height, layer.kernel_width,
                     layer.stride == 1 ? "" : fmt::format(" stride {}", layer.stride),
                     layer.padding == Padding::same ? "" : " valid", to_string(layer.activation));
}
std::string text_of(const MaxPoolSpec& layer) {
  return fmt::format("max_pool {}", layer.size);
}
std::string text_of(const UpsampleSpec& layer) {
  return fmt::format("upsample {}", layer.factor);
}
std::string text_of(const FlattenSpec& /*layer*/) {
  return "flatten";
}
std::string text_of(const ReshapeSpec& layer) {
  return fmt::format("reshape {}", to_string(layer.shape));
}
std::string text_of(const DropoutSpec& layer) {
  return fmt::format("dropout {}", layer.rate);
}
std::string text_of(const LayerNormSpec& layer) {
  return fmt::format("layer_norm {}", to_string(layer.activation));
}
std::string text_of(const BatchNormSpec& layer) {
  return fmt::format("batch_norm {}", to_string(layer.activation));
}
std::string text_of(const GaussianSpec& layer) {
  return fmt::format("gaussian {}", layer.units);
}
std::string text_of(const TopKSpec& layer) {
  return fmt::format("top_k {}", layer.k);
}

/// Whether a layer's numbers are such as parse_layer takes, where its shapes do not tell; `layer`
/// is what it is an alternative of, for messages. @throws UsageError
struct RequireNumbers {
  const LayerSpec& layer;

  void operator()(const DenseSpec& spec) const { known(spec.activation); }
  void operator()(const ConvolutionSpec& spec) const {
    within("the number of channels", spec.channels, kMostChannels);
    within("the kernel's height", spec.kernel_height, kLargestWindow);
    within("the kernel's width", spec.kernel_width, kLargestWindow);
    within("the stride", spec.stride, kLargestWindow);
    require_known(kPaddings, "padding", spec.padding);
    known(spec.activation);
  }
  void operator()(const MaxPoolSpec& spec) const {
    within("the window's size", spec.size, kLargestWindow);
  }
  void operator()(const UpsampleSpec& spec) const {
    within("the factor", spec.factor, kLargestWindow);
  }
  void operator()(const FlattenSpec& /*spec*/) const {}
  void operator()(const ReshapeSpec& spec) const { require_shape(spec.shape, "a reshape's shape"); }
  void operator()(const DropoutSpec& spec) const {
    if (spec.rate >= 0 && spec.rate < 1) return;
    throw UsageError(
        fmt::format("in '{}' the probability must be from 0 to below 1", to_string(layer)));
  }
  void operator()(const LayerNormSpec& spec) const { known(spec.activation); }
  void operator()(const BatchNormSpec& spec) const { known(spec.activation); }
  void operator()(const GaussianSpec& spec) const {
    within("the number of units", spec.units, kMostValues / 2);
  }
  void operator()(const TopKSpec& spec) const { within("k", spec.k, kMostValues); }

 private:
  static void known(Activation activation) {
    require_known(kActivations, "activation", activation);
  }
  void within(const char* what, std::int64_t value, std::int64_t most) const {
    if (value >= 1 && value <= most) return;
    throw UsageError(fmt::format("in '{}' {} must be from 1 to {}", to_string(layer), what, most));
  }
};

/// The shape after a layer; `layer` is what it is an alternative of, for messages.
struct ShapeAfter {
  const LayerSpec& layer;
  const Shape& input;

  Shape operator()(const DenseSpec& spec) const { return {spec.units}; }
  Shape operator()(const ConvolutionSpec& spec) const {
    const Convolution convolution = geometry(spec, image_shape(input, layer));
    const ImageShape& output = convolution.output();
    return {output.height, output.width, output.channels};
  }
  Shape operator()(const MaxPoolSpec& spec) const {
    const ImageShape image = image_shape(input, layer);
    return {(image.height + spec.size - 1) / spec.size, (image.width + spec.size - 1) / spec.size,
            image.channels};
  }
  Shape operator()(const UpsampleSpec& spec) const {
    const ImageShape image = image_shape(input, layer);
    return {image.height * spec.factor, image.width * spec.factor, image.channels};
  }
  Shape operator()(const DropoutSpec& /*spec*/) const { return input; }
  Shape operator()(const LayerNormSpec& /*spec*/) const {
    if (channels_of(input) < 2) {
      throw UsageError(
          fmt::format("'{}' is given {}, a single value at a time, of which nothing would be left; "
                      "use batch_norm, or flatten before it",
                      to_string(layer), to_string(input)));
    }
    return input;
  }
  Shape operator()(const BatchNormSpec& /*spec*/) const { return input; }
  Shape operator()(const FlattenSpec& /*spec*/) const { return {element_count(input)}; }
  Shape operator()(const ReshapeSpec& spec) const {
    if (element_count(spec.shape) != element_count(input)) {
      throw UsageError(fmt::format("'{}' is given {}, which has {} values, not {}",
                                   to_string(layer), to_string(input), element_count(input),
                                   element_count(spec.shape)));
    }
    return spec.shape;
  }
  Shape operator()(const GaussianSpec& spec) const { return {spec.units}; }
  Shape operator()(const TopKSpec& spec) const {
    if (spec.k > element_count(input)) {
      throw UsageError(fmt::format("'{}' is given only {} values, make k smaller", to_string(layer),
                                   element_count(input)));
    }
    return input;
  }
};

}  // namespace

std::string_view to_string(Activation activation) {
  return name_of(kActivations, activation);
}

Activation parse_activation(std::string_view name) {
  return value_of(kActivations, "activation", name);
}

ValueRange output_range(Activation activation) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  switch (activation) {
    case Activation::identity:
    case Activation::leaky_relu:
      return {-kInfinity, kInfinity};
    case Activation::relu:
    case Activation::softplus:
      return {0, kInfinity};
    case Activation::sigmoid:
      return {0, 1};
    case Activation::tanh:
      return {-1, 1};
    case Activation::elu:
      return {-1, kInfinity};
    // These two have a minimum, where their slopes are 0.
    case Activation::gelu:
      return {-0.169971F, kInfinity};
    case Activation::silu:
      return {-0.278465F, kInfinity};
  }
  return {-kInfinity, kInfinity};
}

std::string_view to_string(Padding padding) {
  return name_of(kPaddings, padding);
}

std::string to_string(const LayerSpec& layer) {
  return std::visit([](const auto& spec) { return text_of(spec); }, layer);
}

std::string to_string(std::span<const LayerSpec> layers) {
  std::string text;
  for (const LayerSpec& layer : layers) {
    text += (text.empty() ? "" : ", ") + to_string(layer);
  }
  return text;
}

LayerSpec parse_layer(std::string_view text, Activation activation) {
  Words words(text);
  const std::string kind = words.take("its kind");
  LayerSpec layer;
  if (kind == "dense") {
    DenseSpec dense{.units = words.take_number("the number of units", kMostValues)};
    dense.tied = take_option(words, "tied");
    dense.activation = take_activation(words, activation);
    layer = dense;
  } else if (kind == "conv" || kind == "transposed_conv") {
    layer = take_convolution(words, activation, kind == "transposed_conv");
  } else if (kind == "max_pool") {
    layer = MaxPoolSpec{words.take_number("the window's size", kLargestWindow)};
  } else if (kind == "upsample") {
    layer = UpsampleSpec{words.take_number("the factor", kLargestWindow)};
  } else if (kind == "flatten") {
    layer = FlattenSpec{};
  } else if (kind == "reshape") {
    layer = ReshapeSpec{words.take_extents("the shape, as 7x7x32,", kMostValues)};
  } else if (kind == "dropout") {
    layer = DropoutSpec{words.take_probability("the probability")};
  } else if (kind == "layer_norm") {
    layer = LayerNormSpec{take_activation(words, activation)};
  } else if (kind == "batch_norm") {
    layer = BatchNormSpec{take_activation(words, activation)};
  } else if (kind == "gaussian") {
    layer = GaussianSpec{words.take_number("the number of units", kMostValues / 2)};
  } else if (kind == "top_k") {
    layer = TopKSpec{words.take_number("k", kMostValues)};
  } else {
    words.refuse(fmt::format("there is no '{}'", kind));
  }
  words.require_end();
  return layer;
}

Shape output_shape(const LayerSpec& layer, const Shape& input) {
  require_shape(input, "a layer's input shape");
  std::visit(RequireNumbers{layer}, layer);
  Shape output = std::visit(ShapeAfter{layer, input}, layer);
  std::int64_t values = 1;
  for (const std::int64_t extent : output) {
    if (extent < 1 || extent > kMostValues || values * extent > kMostValues) {
      throw UsageError(fmt::format("'{}' would make {} of {}, it must make 1 to {} values",
                                   to_string(layer), to_string(output), to_string(input),
                                   kMostValues));
    }
    values *= extent;
  }
  return output;
}

std::int64_t weight_count(const LayerSpec& layer, const Shape& input) {
  static_cast<void>(output_shape(layer, input));  // which checks both
  if (const auto* dense = std::get_if<DenseSpec>(&layer)) {
    return dense->tied ? 0 : element_count(input) * dense->units;
  }
  if (const auto* gaussian = std::get_if<GaussianSpec>(&layer)) {
    return element_count(input) * 2 * gaussian->units;
  }
  if (const auto* convolution = std::get_if<ConvolutionSpec>(&layer)) {
    return geometry(*convolution, image_shape(input, layer)).weights();
  }
  return is_normalization(layer) ? channels_of(input) : 0;
}

std::int64_t bias_count(const LayerSpec& layer, const Shape& input) {
  static_cast<void>(output_shape(layer, input));  // which checks both
  if (const auto* dense = std::get_if<DenseSpec>(&layer)) return dense->units;
  if (const auto* gaussian = std::get_if<GaussianSpec>(&layer)) return 2 * gaussian->units;
  if (const auto* convolution = std::get_if<ConvolutionSpec>(&layer)) return convolution->channels;
  return is_normalization(layer) ? channels_of(input) : 0;
}

std::int64_t state_count(const LayerSpec& layer, const Shape& input) {
  static_cast<void>(output_shape(layer, input));  // which checks both
  return std::holds_alternative<BatchNormSpec>(layer) ? 2 * channels_of(input) : 0;
}

}  // namespace ae
