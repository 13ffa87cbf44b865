#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "ae/shape.hpp"

/// The formats that samples and codes are written in. A format is an entry of the list in
/// samples_out.cpp; options, help texts and errors follow from that.
namespace ae::formats {

/// What is written: rows of `row_shape`, one behind the other.
struct Samples {
  Shape row_shape;
  std::span<const float> values;
  /// Beside reconstructions, what they are of; a picture has these as well.
  std::span<const float> originals{};
  /// Images a line of a picture; 0 makes it about square.
  int columns = 0;

  [[nodiscard]] std::int64_t rows() const {
    return static_cast<std::int64_t>(values.size()) / element_count(row_shape);
  }
};

/// What a format can hold.
enum class Holds : std::uint8_t { numbers, pictures };

struct SampleFormat {
  std::string_view ending;  ///< ".npy"
  std::string_view what;    ///< "a NumPy array"
  Holds holds = Holds::numbers;
  /// The file appears whole or not at all. @throws Error if it cannot be written, or the samples
  /// are none that the format can hold.
  void (*write)(const std::filesystem::path& path, const Samples& samples);
};

/// By the ending of `path`, the value of `option`, in upper or lower case. @throws UsageError
/// naming the known ones for any other ending, and for a picture's unless `pictures` are wanted.
const SampleFormat& sample_format_of(std::string_view option, const std::filesystem::path& path,
                                     bool pictures);

/// @throws UsageError unless `columns`, the value of --columns, is a number of them or 0.
void require_columns(int columns);

/// "a NumPy array (.npy), text (.csv) or a picture (.png)", for help texts.
std::string sample_formats_text(bool pictures);

}  // namespace ae::formats
