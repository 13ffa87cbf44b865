#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace ae {

/// The extents of one sample, outermost first: {28, 28} for an MNIST digit, {784} for a vector.
using Shape = std::vector<std::int64_t>;

/// The product of the extents; 1 for an empty shape.
/// @throws Error for a negative extent or a product that no std::int64_t holds.
std::int64_t element_count(const Shape& shape);

/// "28x28", for messages and file metadata.
std::string to_string(const Shape& shape);

/// Samples in host memory, one contiguous row each, in the type they are stored in.
///
/// Bytes stay bytes: they stand for value / 255, and are converted where a batch is gathered, so
/// that MNIST takes 47 MB rather than 188 MB. Everything else is held as float32 and used as it is.
class Dataset {
 public:
  Dataset() = default;

  /// Takes ownership of `values`, which holds a whole number of rows of `row_shape`.
  /// `source` names the data in messages (a path or the name of a known data set).
  /// @throws Error if the values do not divide into rows, or a row has no elements.
  Dataset(std::string source, Shape row_shape, std::vector<std::uint8_t> values);
  Dataset(std::string source, Shape row_shape, std::vector<float> values);

  [[nodiscard]] const std::string& source() const { return source_; }
  [[nodiscard]] const Shape& row_shape() const { return row_shape_; }
  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::int64_t row_size() const { return row_size_; }
  [[nodiscard]] bool is_bytes() const { return values_.index() == 0; }

  /// All values in row order; the one that `is_bytes()` names, the other is empty.
  [[nodiscard]] std::span<const std::uint8_t> bytes() const;
  [[nodiscard]] std::span<const float> floats() const;

  /// Row `row` as the network sees it: bytes divided by 255. `out` has row_size() elements.
  /// @throws UsageError if it has not, or there is no such row.
  void copy_row(std::int64_t row, std::span<float> out) const;

  /// The first `rows` rows (all of them if there are fewer, none for a negative number).
  [[nodiscard]] Dataset first(std::int64_t rows) const;

  /// The fraction of values that are not zero, from every row up to 2,000 and evenly spaced ones
  /// beyond. A hint for backends that can skip the zeros of sparse images; 0 for no rows.
  [[nodiscard]] double density() const;

  /// @throws Error naming the first row and element that is NaN or infinite or, with
  /// `unit_interval`, outside [0, 1].
  void require_finite(bool unit_interval) const;

 private:
  std::string source_;
  Shape row_shape_;
  std::int64_t rows_ = 0;
  std::int64_t row_size_ = 0;
  std::variant<std::vector<std::uint8_t>, std::vector<float>> values_;
};

/// Reads an IDX (`.idx`, `*-ubyte`, any name), gzipped IDX or NumPy `.npy` file; what it is is told
/// from its first bytes, not from its name. The first axis counts rows. uint8 stays uint8; other
/// IDX types, float32 and float64 become float32.
/// `first_row` and `rows` select a range of rows without reading the rest (-1: to the end).
/// @throws UsageError for a negative row or number of rows; Error if the file is missing, damaged,
/// or claims more than it holds.
Dataset load_dataset(const std::filesystem::path& path, std::int64_t first_row = 0,
                     std::int64_t rows = -1);

/// What training starts from: rows to learn from and rows to judge by.
struct TrainTest {
  Dataset train;
  Dataset test;
};

/// The names `load_named` knows, e.g. "mnist" and "fashion-mnist".
std::vector<std::string> named_datasets();
bool is_named_dataset(std::string_view name);

/// $AE_DATA_DIR, else $XDG_CACHE_HOME/ae, else ~/.cache/ae.
std::filesystem::path default_data_directory();

/// A known data set from `directory`/NAME (raw or gzipped IDX) or from where the distribution
/// installs it. Downloads nothing: `tools/fetch_mnist.sh` does, and the error says so.
/// @throws UsageError for an unknown name, Error if the files are absent or damaged.
TrainTest load_named(std::string_view name,
                     const std::filesystem::path& directory = default_data_directory());

}  // namespace ae
