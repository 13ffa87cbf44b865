#pragma once

#include <filesystem>
#include <span>
#include <string_view>

#include "ae/dataset.hpp"

namespace ae::cli {

/// Whether `path`, the value of --out, asks for a picture (.png) rather than numbers (.npy).
/// @throws UsageError for any other ending.
bool is_picture(const std::filesystem::path& path);

/// @throws UsageError unless `path`, the value of `option`, ends in .npy: nobody would look for
/// NumPy's format in a file that is called otherwise.
void require_npy(std::string_view option, const std::filesystem::path& path);

/// @throws UsageError unless `columns`, the value of --columns, is a number of them or 0.
void require_columns(int columns);

/// Writes samples as an array of (rows, row_shape…).
void write_samples(const std::filesystem::path& path, const Shape& row_shape,
                   std::span<const float> samples);

}  // namespace ae::cli
