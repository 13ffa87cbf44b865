#pragma once

#include <filesystem>
#include <span>

#include "ae/dataset.hpp"

namespace ae::cli {

/// Whether `path` asks for a picture (.png) rather than numbers (.npy).
/// @throws UsageError for any other ending.
bool is_picture(const std::filesystem::path& path);

/// Writes samples as an array of (rows, row_shape…).
void write_samples(const std::filesystem::path& path, const Shape& row_shape,
                   std::span<const float> samples);

}  // namespace ae::cli
