#pragma once

#include <filesystem>
#include <string>

#include "ae/dataset.hpp"

#include "data/array_reader.hpp"

namespace ae::data {

/// `ae::load_dataset` with a name of its own for the data: `source()` in its messages.
Dataset load_rows(const std::filesystem::path& path, RowRange range, std::string name);

}  // namespace ae::data
