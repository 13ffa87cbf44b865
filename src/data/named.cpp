#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ae/dataset.hpp"
#include "ae/error.hpp"

#include "data/load.hpp"

namespace ae {
namespace {

namespace fs = std::filesystem;

struct NamedFile {
  const char* name;  ///< also found with ".gz" after it
  std::int64_t rows;
};

struct NamedDataset {
  std::string_view name;
  std::string_view fetch_command;
  const char* installed_in;  ///< where the distribution's package puts the files; may be empty
  NamedFile train;
  NamedFile test;
  std::int64_t height;
  std::int64_t width;
};

constexpr NamedFile kTrainImages = {"train-images-idx3-ubyte", 60000};
constexpr NamedFile kTestImages = {"t10k-images-idx3-ubyte", 10000};

/// Every known data set. A new one needs a line here and one in tools/fetch_mnist.sh.
constexpr std::array kNamedDatasets = {
    NamedDataset{"mnist", "tools/fetch_mnist.sh", "", kTrainImages, kTestImages, 28, 28},
    NamedDataset{"fashion-mnist", "tools/fetch_mnist.sh fashion-mnist",
                 "/usr/share/datasets/fashion-mnist", kTrainImages, kTestImages, 28, 28},
};

const NamedDataset* find_named(std::string_view name) {
  const auto* const found =
      std::find_if(kNamedDatasets.begin(), kNamedDatasets.end(),
                   [name](const NamedDataset& known) { return known.name == name; });
  return found == kNamedDatasets.end() ? nullptr : found;
}

/// The value of an environment variable; nothing if it is not set or empty.
std::optional<fs::path> environment_path(const char* variable) {
  const char* const value = std::getenv(variable);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return fs::path(value);
}

/// What `default_data_directory` answers, if it can.
std::optional<fs::path> usual_data_directory() {
  if (const auto directory = environment_path("AE_DATA_DIR")) return *directory;
  if (const auto cache = environment_path("XDG_CACHE_HOME")) return *cache / "ae";
  if (const auto home = environment_path("HOME")) return *home / ".cache" / "ae";
  return std::nullopt;
}

/// The command that puts the files where we looked for them.
std::string fetch_command(const NamedDataset& named, const fs::path& directory) {
  std::string command(named.fetch_command);
  if (directory != usual_data_directory()) command += " --data-dir " + directory.string();
  return command;
}

/// `file` as it is or gzipped, in the data directory or where the distribution installs it.
std::optional<fs::path> find_file(const NamedDataset& named, const NamedFile& file,
                                  const fs::path& directory) {
  for (const fs::path& folder : {directory / named.name, fs::path(named.installed_in)}) {
    if (folder.empty()) continue;
    for (const char* const suffix : {"", ".gz"}) {
      fs::path path = folder / (std::string(file.name) + suffix);
      std::error_code unreachable;  // counts as absent
      if (fs::exists(path, unreachable)) return path;
    }
  }
  return std::nullopt;
}

Dataset load_file(const NamedDataset& named, const NamedFile& file, const fs::path& path,
                  const fs::path& directory, data::RowRange range) {
  data::ArrayFile array(path);
  const data::ArrayHeader& header = array.header();
  const bool is_bytes = header.type == data::ElementType::u8;
  if (header.extents != Shape{file.rows, named.height, named.width} || !is_bytes) {
    throw Error(fmt::format(
        "{} is not the {} of {}: it holds {} rows of {} {}, not {} rows of {} bytes; remove it and "
        "run {}",
        path.string(), file.name, named.name, header.extents.front(), to_string(header.row_shape()),
        is_bytes ? "bytes" : "numbers", file.rows, to_string(Shape{named.height, named.width}),
        fetch_command(named, directory)));
  }
  return array.read(range, std::string(named.name));
}

const NamedDataset& require_named(std::string_view name) {
  const NamedDataset* const named = find_named(name);
  if (named == nullptr) {
    throw UsageError(fmt::format("no data set is called '{}'; known ones are {}", name,
                                 fmt::join(named_datasets(), ", ")));
  }
  return *named;
}

}  // namespace

std::vector<std::string> named_datasets() {
  std::vector<std::string> names;
  names.reserve(kNamedDatasets.size());
  for (const NamedDataset& named : kNamedDatasets) names.emplace_back(named.name);
  return names;
}

bool is_named_dataset(std::string_view name) {
  return find_named(name) != nullptr;
}

std::filesystem::path default_data_directory() {
  if (auto directory = usual_data_directory()) return *std::move(directory);
  throw Error(
      "there is no data directory: neither AE_DATA_DIR, XDG_CACHE_HOME nor HOME is set; set "
      "AE_DATA_DIR");
}

TrainTest load_named(std::string_view name, const std::filesystem::path& directory,
                     std::int64_t rows) {
  const NamedDataset& named = require_named(name);
  const auto train = find_file(named, named.train, directory);
  const auto test = find_file(named, named.test, directory);
  const fs::path folder = directory / named.name;
  if (!train && !test) {
    throw Error(fmt::format("{} is not in {}: run {}", name, folder.string(),
                            fetch_command(named, directory)));
  }
  if (!train || !test) {
    throw Error(fmt::format("{} is not complete in {}: {} is missing; run {}", name,
                            folder.string(), train ? named.test.name : named.train.name,
                            fetch_command(named, directory)));
  }
  return {load_file(named, named.train, *train, directory, {0, rows}),
          load_file(named, named.test, *test, directory, {0, rows})};
}

Dataset load_named(std::string_view name, Split split, const std::filesystem::path& directory,
                   std::int64_t first_row, std::int64_t rows) {
  const NamedDataset& named = require_named(name);
  const NamedFile& file = split == Split::train ? named.train : named.test;
  const auto path = find_file(named, file, directory);
  if (!path) {
    throw Error(fmt::format("{} is not in {}: {} is missing; run {}", name,
                            (directory / named.name).string(), file.name,
                            fetch_command(named, directory)));
  }
  return load_file(named, file, *path, directory, {first_row, rows});
}

}  // namespace ae
