#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "ae/dataset.hpp"

namespace ae::report {

/// 8-bit grey pixels, row-major.
struct Image {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> pixels;
};

/// How rows of this shape are drawn: {h, w}, {1, h, w}, {h, w, 1}, or {n} with n a square. Nothing
/// for shapes that are no grey image.
std::optional<std::pair<int, int>> image_extents(const Shape& row_shape);

/// Whether rows of this shape are images, rather than vectors that could be drawn as one, {n}.
bool is_image(const Shape& row_shape);

/// How many images a line make a picture of `count` of them about square, each a stack of `bands`
/// images of that shape; at least ten, as many as fit a screen.
int columns_for(const Shape& row_shape, std::int64_t count, int bands);

/// Originals above their reconstructions, `columns` pairs a line, on dark grey: a hairline within a
/// pair, more between pairs, most between lines of them. Values in [0, 1] (others are clipped, NaN
/// is black); every pixel enlarged `scale` times.
/// @throws Error for rows that are no grey images, or more than a picture should hold.
Image reconstruction_grid(const Shape& row_shape, std::span<const float> originals,
                          std::span<const float> reconstructions, int columns, int scale = 2);

/// Images one beside the other, `columns` a line; otherwise the same.
Image image_grid(const Shape& row_shape, std::span<const float> rows, int columns, int scale = 2);

/// The same image gives the same bytes.
std::vector<std::uint8_t> encode_png(const Image& image);
/// The file appears whole or not at all.
void write_png(const Image& image, const std::filesystem::path& path);

}  // namespace ae::report
