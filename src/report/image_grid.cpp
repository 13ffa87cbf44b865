#include "report/image_grid.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>

#include <fmt/format.h>
#include <png.h>

#include "ae/error.hpp"

#include "io/atomic_file.hpp"

namespace ae::report {

namespace {

constexpr std::uint8_t kBackground = 44;  ///< a dark grey, against which black images show
constexpr int kHairline = 2;              ///< between an original and its reconstruction
constexpr int kGutter = 6;                ///< between neighbours, and around the whole
constexpr int kLineGap = 18;              ///< between one line of pairs and the next

/// Nobody looks at more, and memory should not go to it.
constexpr std::int64_t kMostPixels = std::int64_t{1} << 28;

std::uint8_t to_grey(float value) {
  // The comparison sends NaN to black.
  return value > 0.0F ? static_cast<std::uint8_t>(std::lround(std::min(value, 1.0F) * 255.0F)) : 0;
}

/// Draws `sample`, (height, width), with its corner at (left, top), each pixel scale x scale.
void draw(Image& image, int left, int top, const float* sample, int height, int width, int scale) {
  for (int y = 0; y < height * scale; ++y) {
    std::uint8_t* row =
        image.pixels.data() + static_cast<std::ptrdiff_t>(top + y) * image.width + left;
    const float* from = sample + static_cast<std::ptrdiff_t>(y / scale) * width;
    for (int x = 0; x < width * scale; ++x) row[x] = to_grey(from[x / scale]);
  }
}

std::pair<int, int> require_image(const Shape& row_shape) {
  const auto extents = image_extents(row_shape);
  if (!extents) {
    throw Error(fmt::format("rows of shape {} are no grey images, write them as .npy instead",
                            to_string(row_shape)));
  }
  return *extents;
}

/// An image of background alone, to be drawn upon.
Image canvas(std::int64_t width, std::int64_t height) {
  if (height > kMostPixels / width) {
    throw Error(fmt::format("a picture of {} x {} pixels is too large, ask for fewer images", width,
                            height));
  }
  return {static_cast<int>(width), static_cast<int>(height),
          std::vector<std::uint8_t>(static_cast<std::size_t>(width * height), kBackground)};
}

/// For each sample a stack with one image of each band, `columns` stacks a line.
Image draw_grid(const Shape& row_shape, const std::vector<std::span<const float>>& bands,
                int columns, int scale) {
  const auto [height, width] = require_image(row_shape);
  const std::size_t size = static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  const auto count = static_cast<std::int64_t>(bands.front().size() / size);
  const std::int64_t across = std::clamp<std::int64_t>(count, 1, std::max(columns, 1));
  const std::int64_t lines = std::max<std::int64_t>((count + across - 1) / across, 1);
  const auto stack = static_cast<std::int64_t>(bands.size());
  const std::int64_t stack_width = std::int64_t{width} * scale;
  const std::int64_t stack_height = stack * height * scale + (stack - 1) * kHairline;
  // Pairs are set apart; lines of single images are as close as their columns.
  const int line_gap = stack > 1 ? kLineGap : kGutter;
  Image image = canvas(across * (stack_width + kGutter) + kGutter,
                       lines * (stack_height + line_gap) - line_gap + 2 * kGutter);
  for (std::int64_t i = 0; i < count; ++i) {
    const auto left = static_cast<int>(kGutter + i % across * (stack_width + kGutter));
    const auto top = static_cast<int>(kGutter + i / across * (stack_height + line_gap));
    for (std::size_t band = 0; band < bands.size(); ++band) {
      draw(image, left, top + static_cast<int>(band) * (height * scale + kHairline),
           bands[band].data() + static_cast<std::size_t>(i) * size, height, width, scale);
    }
  }
  return image;
}

}  // namespace

std::optional<std::pair<int, int>> image_extents(const Shape& row_shape) {
  constexpr std::int64_t kLargest = 4096;
  Shape extents = row_shape;
  if (extents.size() == 3 && extents.front() == 1) {
    extents.erase(extents.begin());
  } else if (extents.size() == 3 && extents.back() == 1) {
    extents.pop_back();
  } else if (extents.size() == 1) {
    const auto side = static_cast<std::int64_t>(std::llround(std::sqrt(extents[0])));
    if (side * side == extents[0]) extents = {side, side};
  }
  if (extents.size() != 2 || std::max(extents[0], extents[1]) > kLargest) return std::nullopt;
  return std::pair(static_cast<int>(extents[0]), static_cast<int>(extents[1]));
}

bool is_image(const Shape& row_shape) {
  const auto extents = image_extents(row_shape);
  return extents && row_shape.size() > 1 && std::min(extents->first, extents->second) > 1;
}

int columns_for(const Shape& row_shape, std::int64_t count, int bands) {
  constexpr int kLeast = 10;
  const auto extents = image_extents(row_shape);
  if (!extents) return kLeast;
  const auto [height, width] = *extents;
  const double stacks_in_square = static_cast<double>(count) * bands * height / width;
  return std::max(kLeast, static_cast<int>(std::ceil(std::sqrt(stacks_in_square))));
}

Image reconstruction_grid(const Shape& row_shape, std::span<const float> originals,
                          std::span<const float> reconstructions, int columns, int scale) {
  return draw_grid(row_shape, {originals, reconstructions}, columns, scale);
}

Image image_grid(const Shape& row_shape, std::span<const float> rows, int columns, int scale) {
  return draw_grid(row_shape, {rows}, columns, scale);
}

std::vector<std::uint8_t> encode_png(const Image& image) {
  // libpng's simplified interface: errors come as return values, not as jumps.
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = PNG_FORMAT_GRAY;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::vector<std::uint8_t> bytes(size);
  if (png_image_write_to_memory(&png, bytes.data(), &size, 0, image.pixels.data(), 0, nullptr) ==
      0) {
    throw Error(
        fmt::format("the picture could not be encoded, libpng says: {}; ask for fewer images",
                    static_cast<const char*>(png.message)));
  }
  bytes.resize(size);
  return bytes;
}

void write_png(const Image& image, const std::filesystem::path& path) {
  const std::vector<std::uint8_t> png = encode_png(image);
  io::AtomicFile file(path);
  file.write(std::as_bytes(std::span(png)));
  file.commit();
}

}  // namespace ae::report
