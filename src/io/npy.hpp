#pragma once

#include <filesystem>
#include <span>

#include "ae/shape.hpp"

namespace ae::io {

/// Writes `values` as a NumPy array of float32 in C order: `numpy.load(path)` has `shape`. The file
/// appears whole or not at all.
/// @throws Error if the shape does not hold exactly these values, or the file cannot be written.
void write_npy(const std::filesystem::path& path, std::span<const float> values,
               const Shape& shape);

}  // namespace ae::io
