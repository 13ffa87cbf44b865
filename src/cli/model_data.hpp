#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "ae/dataset.hpp"
#include "ae/model.hpp"

#include "cli/options.hpp"

namespace ae::cli {

/// The rows that a finished model is used on: those of --data, by default what it was trained on;
/// of a named data set its test rows, unless --split train.
struct ModelDataOptions {
  DataOptions data;
  std::string split = "test";

  void add_to(Options& options);
  /// `count` rows from row `first` on (-1: all that follow), and nothing else of the file.
  /// @throws UsageError without --data if the model does not record what it was trained on.
  [[nodiscard]] Dataset load(const Options& options, const Model& model, std::int64_t first = 0,
                             std::int64_t count = -1) const;
};

/// `count` samples of a file from row `first` on (-1: all that follow), of the `limit` that there
/// are to be (0: of all). An array without an axis for rows, of the shape of one sample or as long
/// as it, is one sample.
/// @throws UsageError for a first row beyond them; as load_dataset.
Dataset load_samples(const std::filesystem::path& path, const Shape& sample, std::int64_t first,
                     std::int64_t count, std::int64_t limit);

}  // namespace ae::cli
