#include "cli/model_data.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "ae/error.hpp"

namespace ae::cli {

namespace {

/// How many rows there are to read from row `first` on.
/// @throws UsageError if the limit is negative, or leaves none.
std::int64_t rows_to_read(std::int64_t first, std::int64_t count, std::int64_t limit) {
  const std::int64_t most = most_rows(limit);
  if (most < 0) return count;
  if (first >= most) {
    throw UsageError(
        fmt::format("--first is {}, but --limit {} leaves rows 0 to {}", first, limit, limit - 1));
  }
  return count < 0 ? most - first : std::min(count, most - first);
}

}  // namespace

Dataset load_samples(const std::filesystem::path& path, const Shape& sample, std::int64_t first,
                     std::int64_t count, std::int64_t limit) {
  count = rows_to_read(first, count, limit);
  const Shape extents = dataset_extents(path);
  if (extents == sample || extents == Shape{element_count(sample)}) {
    if (first > 0) {
      throw UsageError(
          fmt::format("--first is {}, but {} is a single sample, row 0", first, path.string()));
    }
    return load_dataset(path).reshaped(sample);
  }
  return load_dataset(path, first, count);
}

void ModelDataOptions::add_to(Options& options) {
  options.group("Data");
  data.add_to(options);
  options.add("split", split, "NAME", "test or train rows, of a named data set");
}

Dataset ModelDataOptions::load(const Options& options, const Model& model, std::int64_t first,
                               std::int64_t count) const {
  if (split != "test" && split != "train") {
    throw UsageError(fmt::format("--split is '{}', it must be test or train", split));
  }
  std::string source = data.data;
  if (const auto trained_on = model.training.find("data");
      !options.given("data") && trained_on != model.training.end()) {
    source = trained_on->second;
  }
  if (!is_named_dataset(source)) {
    if (options.given("split")) {
      throw UsageError(fmt::format("--split goes with a named data set, but {} is a path", source));
    }
    return load_samples(source, model.spec.input_shape, first, count, data.limit);
  }
  return load_named(source, split == "train" ? Split::train : Split::test, data.directory(), first,
                    rows_to_read(first, count, data.limit));
}

}  // namespace ae::cli
