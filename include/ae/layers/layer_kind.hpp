#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ae/shape.hpp"

/// What every kind of layer says of itself. A kind is a struct of its own in this folder, with
/// these members beside its numbers:
///
///   kForm                  what it looks like in text, as messages list it: "max_pool N"
///   kWords                 the words that it begins with
///   parse(words)           from text, for the library itself. @throws UsageError
///   text()                 the readable form
///   output_shape(input)    of what it makes of samples of that shape, see ae::output_shape
///   tensors(input)         the numbers that it has then
///   make(place)            the layer at work, for the library itself
///   kTraits                what the rest of a model must know of it
namespace ae {

class Layer;
class LayerWords;
struct LayerPlace;

/// How a tensor lies in a model file, which has PyTorch's shapes.
enum class FileLayout : std::uint8_t {
  same,
  transposed,  ///< (in, out) becomes (out, in)
  kernel,      ///< (height, width, c, o) becomes (o, c, height, width)
};

/// Numbers that a layer has under one name.
struct LayerTensor {
  std::string name;          ///< "weight", "bias", "running_mean", …
  Shape shape;               ///< in memory, row-major
  float initial = 0;         ///< each number's first value
  std::int64_t fans = 0;     ///< fan_in + fan_out; where it is not 0, the first values are random
                             ///< instead, see Model::initialize
  bool is_trainable = true;  ///< optimisers change it; other tensors are the layer's own to change
  bool is_adjacent = false;  ///< in memory it follows the one before without a gap
  FileLayout file_layout = FileLayout::same;

  [[nodiscard]] std::int64_t size() const { return element_count(shape); }
};

struct LayerTraits {
  bool wants_image = false;   ///< it works on (height, width[, channels])
  bool is_code = false;       ///< it makes the code, and so ends an encoder
  bool makes_logits = false;  ///< a loss can start before its activation, and so it can end a model
};

}  // namespace ae
