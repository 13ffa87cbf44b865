#include "cli/samples_file.hpp"

#include <fmt/format.h>

#include "ae/error.hpp"

#include "io/npy.hpp"

namespace ae::cli {

bool is_picture(const std::filesystem::path& path) {
  if (path.extension() == ".png") return true;
  if (path.extension() == ".npy") return false;
  throw UsageError(fmt::format("--out is {}, its name must end in .png or .npy", path.string()));
}

void write_samples(const std::filesystem::path& path, const Shape& row_shape,
                   std::span<const float> samples) {
  Shape shape = {static_cast<std::int64_t>(samples.size()) / element_count(row_shape)};
  shape.insert(shape.end(), row_shape.begin(), row_shape.end());
  io::write_npy(path, samples, shape);
}

}  // namespace ae::cli
