#pragma once

#include <cstdint>

#include "formulas/host_device.hpp"

/// Images, convolutions between them, and what every device needs to know of their geometry.
namespace ae {

/// Images as rows of a batch: value (y, x, c) at ((y·width) + x)·channels + c.
struct ImageShape {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t channels = 0;

  [[nodiscard]] std::int64_t size() const { return height * width * channels; }
  bool operator==(const ImageShape&) const = default;
};

/// A convolution from an image to a map, or, transposed, from a map to an image:
///   map[oy, ox, o] = Σ over ky, kx, c of
///                      image[oy·stride + ky - top, ox·stride + kx - left, c]·W[ky, kx, c, o],
/// where the image is zero outside. Transposed, the same numbers go the other way:
///   image[iy, ix, c] = Σ of map[oy, ox, o]·W[ky, kx, c, o] over all that the first line joins.
/// W has shape (kernel_height, kernel_width, image.channels, map.channels) both ways.
struct Convolution {
  ImageShape image{};
  ImageShape map{};
  std::int64_t kernel_height = 0;
  std::int64_t kernel_width = 0;
  std::int64_t stride = 1;
  std::int64_t top = 0;   ///< rows of zeros above the image
  std::int64_t left = 0;  ///< columns of zeros on its left
  bool transposed = false;

  [[nodiscard]] const ImageShape& input() const { return transposed ? map : image; }
  [[nodiscard]] const ImageShape& output() const { return transposed ? image : map; }
  [[nodiscard]] std::int64_t weights() const {
    return kernel_height * kernel_width * image.channels * map.channels;
  }
  bool operator==(const Convolution&) const = default;
};

/// The two ways along a convolution. What goes forward one way goes backward the other.
enum class Towards : std::uint8_t { map, image };

/// A convolution along one dimension.
struct ConvolvedLine {
  std::int64_t image = 0;
  std::int64_t map = 0;
  std::int64_t kernel = 0;
  std::int64_t stride = 1;
  std::int64_t before = 0;  ///< zeros before the image
};

AE_HOST_DEVICE ConvolvedLine rows_of(const Convolution& c) {
  return {c.image.height, c.map.height, c.kernel_height, c.stride, c.top};
}
AE_HOST_DEVICE ConvolvedLine cols_of(const Convolution& c) {
  return {c.image.width, c.map.width, c.kernel_width, c.stride, c.left};
}

/// Along one dimension, outputs whose sums have the same taps, at neighbouring inputs:
///   output[first_output + i·output_step] =
///       Σ over t < taps of input[first_input + i·input_step + t]·W[first_tap + t·tap_step],
/// for i < outputs; inputs outside are zero.
struct Gathered {
  std::int64_t outputs = 0;
  std::int64_t first_output = 0;
  std::int64_t output_step = 1;
  std::int64_t first_input = 0;
  std::int64_t input_step = 1;
  std::int64_t taps = 0;
  std::int64_t first_tap = 0;
  std::int64_t tap_step = 1;
};

/// How many Gathered make up all outputs. Towards the map it is one. Towards the image, a map
/// position q and a tap k meet at image position q·stride + k - before: positions of the same
/// residue modulo the stride have the same taps, every stride-th one.
AE_HOST_DEVICE std::int64_t gathered_count(const ConvolvedLine& line, Towards towards) {
  if (towards == Towards::map) return 1;
  return line.stride < line.image ? line.stride : line.image;
}

AE_HOST_DEVICE Gathered gathered(const ConvolvedLine& line, Towards towards, std::int64_t residue) {
  Gathered result;
  if (towards == Towards::map) {
    result.outputs = line.map;
    result.first_input = -line.before;
    result.input_step = line.stride;
    result.taps = line.kernel;
    return result;
  }
  const std::int64_t first = residue + line.before;
  const std::int64_t least_tap = first % line.stride;
  result.outputs = (line.image - residue + line.stride - 1) / line.stride;
  result.first_output = residue;
  result.output_step = line.stride;
  result.taps =
      line.kernel > least_tap ? (line.kernel - least_tap + line.stride - 1) / line.stride : 0;
  // The largest tap reads the first of the inputs.
  result.first_input = first / line.stride - (result.taps - 1);
  result.first_tap = least_tap + (result.taps - 1) * line.stride;
  result.tap_step = -line.stride;
  return result;
}

/// A batch whose biases repeat along a row every `channels` of its `cols` columns, seen as rows of
/// what this returns: the longest of whole repeats that divides `cols` and is no longer than what a
/// core or a block likes to work on, or a single repeat.
inline std::int64_t columns_of_repeats(std::int64_t cols, std::int64_t channels) {
  constexpr std::int64_t kMost = 1024;
  if (channels == 0) return 0;
  const std::int64_t repeats = cols / channels;
  for (std::int64_t n = kMost / channels; n > 1; --n) {
    if (repeats % n == 0 && n <= repeats) return n * channels;
  }
  return channels;
}

}  // namespace ae
