#include "cli/samples_file.hpp"

#include <algorithm>
#include <cctype>
#include <string>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "io/npy.hpp"

namespace ae::cli {

namespace {

/// ".npy" of "codes.NPY"
std::string ending_of(const std::filesystem::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return ending;
}

}  // namespace

bool is_picture(const std::filesystem::path& path) {
  const std::string ending = ending_of(path);
  if (ending == ".png") return true;
  if (ending == ".npy") return false;
  throw UsageError(fmt::format("--out is {}, its name must end in .png or .npy", path.string()));
}

void require_npy(std::string_view option, const std::filesystem::path& path) {
  if (ending_of(path) == ".npy") return;
  throw UsageError(fmt::format("{} is {}, its name must end in .npy, the format that is written",
                               option, path.string()));
}

void require_columns(int columns) {
  if (columns >= 0) return;
  throw UsageError(fmt::format(
      "--columns is {}, it must be at least 1, or 0 for a picture that is about square", columns));
}

void write_samples(const std::filesystem::path& path, const Shape& row_shape,
                   std::span<const float> samples) {
  Shape shape = {static_cast<std::int64_t>(samples.size()) / element_count(row_shape)};
  shape.insert(shape.end(), row_shape.begin(), row_shape.end());
  io::write_npy(path, samples, shape);
}

}  // namespace ae::cli
