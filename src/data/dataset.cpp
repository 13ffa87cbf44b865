#include "ae/dataset.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ae/error.hpp"

namespace ae {
namespace {

/// More rows say nothing new about how sparse the data is.
constexpr std::int64_t kDensityRows = 2000;

/// A scaler's rounding may leave values outside [0, 1] by this much.
constexpr float kRounding = 1e-6F;
constexpr float kLowestUnit = -kRounding;
constexpr float kHighestUnit = 1.0F + kRounding;

/// How many rows of `row_size` elements `values` has.
std::int64_t count_rows(const std::string& source, const Shape& row_shape, std::int64_t row_size,
                        std::size_t values) {
  if (row_size == 0) {
    throw Error(fmt::format("{} has rows of {}, without a single element; check how it was made",
                            source, to_string(row_shape)));
  }
  const auto count = static_cast<std::int64_t>(values);
  if (count % row_size != 0) {
    throw Error(
        fmt::format("{} has {} values, which make no whole number of rows of {}; check the shape",
                    source, count, to_string(row_shape)));
  }
  return count / row_size;
}

template <typename Value>
std::vector<Value> first_values(std::span<const Value> values, std::int64_t count) {
  return {values.begin(), values.begin() + count};
}

template <typename Value>
std::int64_t count_nonzero(std::span<const Value> row) {
  return std::count_if(row.begin(), row.end(), [](Value value) { return value != Value{}; });
}

}  // namespace

std::int64_t element_count(const Shape& shape) {
  // A zero extent first: it makes the product zero, however large the others are.
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  std::int64_t product = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 0) {
      throw Error(fmt::format("the shape {} has a negative extent; check how it was made",
                              to_string(shape)));
    }
    if (extent > std::numeric_limits<std::int64_t>::max() / product) {
      throw Error(fmt::format(
          "the shape {} has more elements than any file can hold; check how it was made",
          to_string(shape)));
    }
    product *= extent;
  }
  return product;
}

std::string to_string(const Shape& shape) {
  return fmt::format("{}", fmt::join(shape, "x"));
}

Dataset::Dataset(std::string source, Shape row_shape, std::vector<std::uint8_t> values)
    : source_(std::move(source)),
      row_shape_(std::move(row_shape)),
      row_size_(element_count(row_shape_)),
      values_(std::move(values)) {
  rows_ = count_rows(source_, row_shape_, row_size_, bytes().size());
}

Dataset::Dataset(std::string source, Shape row_shape, std::vector<float> values)
    : source_(std::move(source)),
      row_shape_(std::move(row_shape)),
      row_size_(element_count(row_shape_)),
      values_(std::move(values)) {
  rows_ = count_rows(source_, row_shape_, row_size_, floats().size());
}

std::span<const std::uint8_t> Dataset::bytes() const {
  const auto* values = std::get_if<std::vector<std::uint8_t>>(&values_);
  return values != nullptr ? std::span<const std::uint8_t>(*values)
                           : std::span<const std::uint8_t>();
}

std::span<const float> Dataset::floats() const {
  const auto* values = std::get_if<std::vector<float>>(&values_);
  return values != nullptr ? std::span<const float>(*values) : std::span<const float>();
}

void Dataset::copy_row(std::int64_t row, std::span<float> out) const {
  if (row < 0 || row >= rows_ || static_cast<std::int64_t>(out.size()) != row_size_) {
    throw UsageError(fmt::format("row {} of {} values was asked of {}, which has {} rows of {}",
                                 row, out.size(), source_, rows_, row_size_));
  }
  const auto begin = static_cast<std::size_t>(row * row_size_);
  if (is_bytes()) {
    const std::span<const std::uint8_t> stored = bytes().subspan(begin, out.size());
    std::transform(stored.begin(), stored.end(), out.begin(),
                   [](std::uint8_t value) { return static_cast<float>(value) / 255.0F; });
  } else {
    const std::span<const float> stored = floats().subspan(begin, out.size());
    std::copy(stored.begin(), stored.end(), out.begin());
  }
}

Dataset Dataset::first(std::int64_t rows) const {
  const std::int64_t count = std::clamp<std::int64_t>(rows, 0, rows_) * row_size_;
  return is_bytes() ? Dataset(source_, row_shape_, first_values(bytes(), count))
                    : Dataset(source_, row_shape_, first_values(floats(), count));
}

double Dataset::density() const {
  const std::int64_t looked_at = std::min(rows_, kDensityRows);
  if (looked_at == 0) return 0;
  std::int64_t nonzero = 0;
  for (std::int64_t i = 0; i < looked_at; ++i) {
    const auto begin = static_cast<std::size_t>(i * rows_ / looked_at * row_size_);
    const auto size = static_cast<std::size_t>(row_size_);
    nonzero += is_bytes() ? count_nonzero(bytes().subspan(begin, size))
                          : count_nonzero(floats().subspan(begin, size));
  }
  return static_cast<double>(nonzero) / static_cast<double>(looked_at * row_size_);
}

Dataset Dataset::reshaped(Shape row_shape) && {
  return std::visit(
      [&](auto& values) {
        return Dataset(std::move(source_), std::move(row_shape), std::move(values));
      },
      values_);
}

ValueRange Dataset::range() const {
  if (is_bytes()) {
    if (bytes().empty()) return {};
    const auto [low, high] = std::minmax_element(bytes().begin(), bytes().end());
    return {static_cast<float>(*low) / 255.0F, static_cast<float>(*high) / 255.0F};
  }
  ValueRange range{std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()};
  for (const float value : floats()) {
    // NaN compares false, and so changes nothing.
    if (value < range.low) range.low = value;
    if (value > range.high) range.high = value;
  }
  return range.low <= range.high ? range : ValueRange{};
}

std::int64_t Dataset::clamp_rounding() {
  auto* const values = std::get_if<std::vector<float>>(&values_);
  if (values == nullptr) return 0;
  std::int64_t clamped = 0;
  for (float& value : *values) {
    if ((value < 0.0F && value >= kLowestUnit) || (value > 1.0F && value <= kHighestUnit)) {
      value = value < 0.0F ? 0.0F : 1.0F;
      ++clamped;
    }
  }
  return clamped;
}

void Dataset::require_finite(bool unit_interval) const {
  // Bytes stand for value / 255: finite and in [0, 1] whatever they are.
  const std::span<const float> values = floats();
  const float low = unit_interval ? kLowestUnit : std::numeric_limits<float>::lowest();
  const float high = unit_interval ? kHighestUnit : std::numeric_limits<float>::max();
  // Written so that NaN, which compares false, is outside.
  const auto bad = std::find_if_not(values.begin(), values.end(), [low, high](float value) {
    return value >= low && value <= high;
  });
  if (bad == values.end()) return;

  const std::int64_t position = bad - values.begin();
  const std::string where = fmt::format("{}: row {}, element {} (counted from 0)", source_,
                                        position / row_size_, position % row_size_);
  if (!std::isfinite(*bad)) {
    throw Error(fmt::format("{} is {}; remove or replace such values", where,
                            std::isnan(*bad) ? "NaN" : "infinite"));
  }
  throw Error(fmt::format(
      "{} is {}, outside [0, 1]; scale the values to [0, 1], or train with the mse loss "
      "and the output activation identity",
      where, *bad));
}

}  // namespace ae
