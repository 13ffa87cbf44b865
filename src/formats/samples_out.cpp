#include "formats/samples_out.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <vector>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "io/atomic_file.hpp"
#include "io/npy.hpp"
#include "report/image_grid.hpp"

namespace ae::formats {

namespace {

void write_npy(const std::filesystem::path& path, const Samples& samples) {
  Shape shape = {samples.rows()};
  shape.insert(shape.end(), samples.row_shape.begin(), samples.row_shape.end());
  io::write_npy(path, samples.values, shape);
}

/// Text is written in pieces of about as many bytes.
constexpr std::size_t kPiece = std::size_t{1} << 20U;

/// A row a line, without a header, with as many digits as tell any two floats apart.
void write_csv(const std::filesystem::path& path, const Samples& samples) {
  const auto cols = static_cast<std::size_t>(element_count(samples.row_shape));
  io::AtomicFile file(path);
  std::string text;
  for (std::size_t begin = 0; begin < samples.values.size(); begin += cols) {
    for (std::size_t col = 0; col < cols; ++col) {
      if (col > 0) text += ',';
      fmt::format_to(std::back_inserter(text), "{}", samples.values[begin + col]);
    }
    text += '\n';
    if (text.size() < kPiece) continue;
    file.write(text);
    text.clear();
  }
  file.write(text);
  file.commit();
}

void write_png(const std::filesystem::path& path, const Samples& samples) {
  const Shape& shape = samples.row_shape;
  const bool has_originals = !samples.originals.empty();
  const int columns = samples.columns > 0
                          ? samples.columns
                          : report::columns_for(shape, samples.rows(), has_originals ? 2 : 1);
  report::write_png(
      has_originals ? report::reconstruction_grid(shape, samples.originals, samples.values, columns)
                    : report::image_grid(shape, samples.values, columns),
      path);
}

constexpr std::array kFormats{
    SampleFormat{".npy", "a NumPy array", Holds::numbers, write_npy},
    SampleFormat{".csv", "text", Holds::numbers, write_csv},
    SampleFormat{".png", "a picture", Holds::pictures, write_png},
};

/// Calls visit(format) for those that are wanted.
template <typename Visit>
void for_each_format(bool pictures, const Visit& visit) {
  for (const SampleFormat& format : kFormats) {
    if (pictures || format.holds == Holds::numbers) visit(format);
  }
}

/// "a, b or c"
std::string either(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += words[i];
  }
  return text;
}

}  // namespace

const SampleFormat& sample_format_of(std::string_view option, const std::filesystem::path& path,
                                     bool pictures) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const SampleFormat* found = nullptr;
  std::vector<std::string> endings;
  for_each_format(pictures, [&](const SampleFormat& format) {
    if (format.ending == ending) found = &format;
    endings.emplace_back(format.ending);
  });
  if (found != nullptr) return *found;
  throw UsageError(fmt::format("{} is {}, its name must end in {}, the formats that are written",
                               option, path.string(), either(endings)));
}

void require_columns(int columns) {
  if (columns >= 0) return;
  throw UsageError(fmt::format(
      "--columns is {}, it must be at least 1, or 0 for a picture that is about square", columns));
}

std::string sample_formats_text(bool pictures) {
  std::vector<std::string> formats;
  for_each_format(pictures, [&](const SampleFormat& format) {
    formats.push_back(fmt::format("{} ({})", format.what, format.ending));
  });
  return either(formats);
}

}  // namespace ae::formats
