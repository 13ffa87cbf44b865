#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ae/shape.hpp"
#include "ae/value_range.hpp"

namespace ae {

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
  /// beyond. A hint for devices that can skip the zeros of sparse images; 0 for no rows.
  [[nodiscard]] double density() const;

  /// The same values in the same order as rows of another shape, which must divide them: a single
  /// sample of {784} values that a file without an axis for rows gave as 784 rows of one.
  /// @throws as the constructors.
  [[nodiscard]] Dataset reshaped(Shape row_shape) &&;

  /// Of the values as the network sees them: bytes divided by 255. NaN is passed over; {0, 0} for
  /// no values.
  [[nodiscard]] ValueRange range() const;

  /// Sets values that are outside [0, 1] by no more than 1e-6, as the rounding of a scaler leaves
  /// them, to 0 or 1. Returns how many there were.
  std::int64_t clamp_rounding();

  /// @throws Error naming the first row and element that is NaN or infinite or, with
  /// `unit_interval`, outside [0, 1] by more than 1e-6.
  void require_finite(bool unit_interval) const;

 private:
  std::string source_;
  Shape row_shape_;
  std::int64_t rows_ = 0;
  std::int64_t row_size_ = 0;
  std::variant<std::vector<std::uint8_t>, std::vector<float>> values_;
};

/// Reads an IDX (`.idx`, `*-ubyte`, any name) or NumPy `.npy` file, gzipped or not; what it is is
/// told from its first bytes, not from its name. The first axis counts rows. uint8 stays uint8, and
/// stands for value / 255. All else becomes float32 and is taken as it is: booleans are 0 and 1,
/// other integers are not scaled, and those beyond 2^24 lose their last digits. NumPy's arrays may
/// be in C or in Fortran order, IDX's are in C order.
/// `first_row` and `rows` select a range of rows (-1: to the end). The rest is not read, and of a
/// gzipped file nothing that follows.
/// @throws Error if the file is missing, damaged, of another format, claims more than it holds, or
/// has a float64 that no float32 can hold; UsageError for a negative row or number of rows, and for
/// a range that begins beyond the last row.
Dataset load_dataset(const std::filesystem::path& path, std::int64_t first_row = 0,
                     std::int64_t rows = -1);

/// The extents of the array in such a file, rows first. Reads its header alone.
/// @throws Error if the file is missing, of another format, or its header is damaged.
Shape dataset_extents(const std::filesystem::path& path);

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
/// `rows` is the most that is read of each part (-1: all).
/// @throws UsageError for an unknown name, Error if the files are absent or damaged.
TrainTest load_named(std::string_view name,
                     const std::filesystem::path& directory = default_data_directory(),
                     std::int64_t rows = -1);

enum class Split : std::uint8_t { train, test };

/// One part of a known data set, without reading the other; its rows as load_dataset has them.
/// @throws as load_named and load_dataset.
Dataset load_named(std::string_view name, Split split,
                   const std::filesystem::path& directory = default_data_directory(),
                   std::int64_t first_row = 0, std::int64_t rows = -1);

}  // namespace ae
