#include "data/array_reader.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "data/half.hpp"

namespace ae::data {
namespace {

/// Values are read in pieces that stay in the cache between being cleared, filled and converted.
constexpr std::size_t kPieceElements = std::size_t{128} * 1024;

/// As long as it is not certain that a file holds what it claims, memory for no more than this many
/// values is reserved ahead of what really arrives.
constexpr std::uint64_t kReservedOnTrust = std::uint64_t{64} * 1024 * 1024;

constexpr std::uint64_t kLargestFile = std::numeric_limits<std::int64_t>::max();

/// A truth value as files hold it.
struct Boolean {
  std::uint8_t byte = 0;
};

/// Calls `use` with a value of the type that files hold.
template <typename Use>
auto with_stored_type(ElementType type, const Use& use) {
  switch (type) {
    case ElementType::boolean:
      return use(Boolean{});
    case ElementType::u8:
      return use(std::uint8_t{});
    case ElementType::u16:
      return use(std::uint16_t{});
    case ElementType::u32:
      return use(std::uint32_t{});
    case ElementType::u64:
      return use(std::uint64_t{});
    case ElementType::i8:
      return use(std::int8_t{});
    case ElementType::i16:
      return use(std::int16_t{});
    case ElementType::i32:
      return use(std::int32_t{});
    case ElementType::i64:
      return use(std::int64_t{});
    case ElementType::f16:
      return use(Half{});
    case ElementType::f32:
      return use(float{});
    case ElementType::f64:
      return use(double{});
  }
  throw std::logic_error("unknown element type");
}

std::uint64_t bytes_per_element(ElementType type) {
  return with_stored_type(type, [](auto stored) { return std::uint64_t{sizeof(stored)}; });
}

/// The size of the whole file according to its header; nothing if that is no number.
std::optional<std::uint64_t> claimed_size(const ArrayHeader& header) {
  std::uint64_t size = bytes_per_element(header.type);
  if (std::find(header.extents.begin(), header.extents.end(), 0) != header.extents.end()) size = 0;
  for (const std::int64_t extent : header.extents) {
    const auto factor = static_cast<std::uint64_t>(extent);
    if (size > 0 && factor > kLargestFile / size) return std::nullopt;
    size *= factor;
  }
  return size + header.header_bytes;
}

/// "its header claims 60000x28x28 values, 47040016 bytes in all"
std::string claim(const ArrayHeader& header) {
  const std::optional<std::uint64_t> size = claimed_size(header);
  return fmt::format("its header claims {} values, {} bytes in all", to_string(header.extents),
                     size ? fmt::to_string(*size) : "more than 2^63");
}

[[noreturn]] void fail_too_long(const io::ByteSource& source, const ArrayHeader& header) {
  throw Error(fmt::format("{} is damaged: {}, but more follow; fetch it again",
                          source.path().string(), claim(header)));
}

/// Compares the header's claim with all that can be known before reading on.
void verify_claim(const io::ByteSource& source, const ArrayHeader& header) {
  const std::optional<std::uint64_t> size = claimed_size(header);
  if (!size || *size > source.size_limit()) {
    throw Error(fmt::format(
        "{} is cut off or damaged: {}, but {} {}; fetch it again", source.path().string(),
        claim(header),
        source.size_is_known() ? "the file ends at byte" : "it can inflate to no more than",
        source.size_limit()));
  }
  if (source.size_is_known() && *size < source.size_limit()) fail_too_long(source, header);
}

/// After the last value: nothing may follow.
void verify_end(io::ByteSource& source, const ArrayHeader& header) {
  std::array<std::byte, 1> beyond = {};
  if (source.read(beyond) > 0) fail_too_long(source, header);
}

void read_fully(io::ByteSource& source, const ArrayHeader& header, std::span<std::byte> out) {
  if (source.read(out) == out.size()) return;
  throw Error(
      fmt::format("{} is cut off or damaged: {}, but the data ends at byte {}; fetch it again",
                  source.path().string(), claim(header), source.position()));
}

template <typename Stored>
Stored element_from(const std::byte* bytes, std::endian byte_order) {
  std::array<std::byte, sizeof(Stored)> ordered = {};
  std::memcpy(ordered.data(), bytes, ordered.size());
  if (byte_order != std::endian::native) std::reverse(ordered.begin(), ordered.end());
  return std::bit_cast<Stored>(ordered);
}

float to_float(Boolean value) {
  return value.byte == 0 ? 0.0F : 1.0F;
}
template <typename Number>
float to_float(Number value) {
  return static_cast<float>(value);
}

/// Which rows are read, of how many, and how many values each has.
struct Selection {
  std::int64_t first = 0;
  std::int64_t count = 0;
  std::int64_t rows = 0;
  Shape row_shape;
  std::uint64_t row_elements = 0;

  [[nodiscard]] std::uint64_t elements() const {
    return static_cast<std::uint64_t>(count) * row_elements;
  }
};

[[noreturn]] void fail_beyond_float(const io::ByteSource& source, const Selection& selection,
                                    std::uint64_t place, double value) {
  throw Error(
      fmt::format("{}: row {}, element {} (counted from 0) is {:g}, beyond what float32 can hold, "
                  "which is what ae works with; scale the values, or leave that row out",
                  source.path().string(),
                  static_cast<std::uint64_t>(selection.first) + place / selection.row_elements,
                  place % selection.row_elements, value));
}

/// Values as they are kept, each at its place of `values`.
template <typename Value>
class Destination {
 public:
  Destination(const io::ByteSource& source, const ArrayHeader& header, const Selection& selection,
              std::vector<Value>& values)
      : source_(source), header_(header), selection_(selection), values_(values) {}

  /// Converts the values of `piece` to places `first`, `first + stride`, ….
  void put(std::span<const std::byte> piece, std::uint64_t first, std::uint64_t stride) {
    if constexpr (std::is_same_v<Value, std::uint8_t>) {
      put_as<std::uint8_t>(piece, first, stride);
    } else {
      with_stored_type(header_.type,
                       [&](auto stored) { put_as<decltype(stored)>(piece, first, stride); });
    }
  }

 private:
  template <typename Stored>
  void put_as(std::span<const std::byte> piece, std::uint64_t place, std::uint64_t stride) {
    if constexpr (std::is_same_v<Stored, Value>) {
      if (stride == 1 && (sizeof(Stored) == 1 || header_.byte_order == std::endian::native)) {
        std::memcpy(values_.data() + place, piece.data(), piece.size());
        return;
      }
    }
    for (std::size_t at = 0; at < piece.size(); at += sizeof(Stored), place += stride) {
      values_[place] =
          converted(element_from<Stored>(piece.data() + at, header_.byte_order), place);
    }
  }

  template <typename Stored>
  Value converted(Stored stored, std::uint64_t place) const {
    if constexpr (std::is_same_v<Stored, Value>) {
      return stored;
    } else {
      const float value = to_float(stored);
      if constexpr (std::is_same_v<Stored, double>) {
        if (std::isinf(value) && !std::isinf(stored)) {
          fail_beyond_float(source_, selection_, place, stored);
        }
      }
      return value;
    }
  }

  const io::ByteSource& source_;
  const ArrayHeader& header_;
  const Selection& selection_;
  std::vector<Value>& values_;
};

std::size_t next_piece(std::uint64_t remaining) {
  return static_cast<std::size_t>(std::min<std::uint64_t>(remaining, kPieceElements));
}

/// Rows one after the other. Memory grows with what arrives.
template <typename Value>
std::vector<Value> read_c_order(io::ByteSource& source, const ArrayHeader& header,
                                const Selection& selection) {
  const std::uint64_t element_bytes = bytes_per_element(header.type);
  const std::uint64_t count = selection.elements();
  std::vector<Value> values;
  values.reserve(source.size_is_known() ? count : std::min(count, kReservedOnTrust));
  Destination<Value> destination(source, header, selection, values);
  std::vector<std::byte> buffer(next_piece(count) * element_bytes);
  source.skip(static_cast<std::uint64_t>(selection.first) * selection.row_elements * element_bytes);
  while (values.size() < count) {
    const std::size_t begin = values.size();
    const std::size_t size = next_piece(count - begin);
    const auto piece = std::span(buffer).first(size * element_bytes);
    read_fully(source, header, piece);
    values.resize(begin + size);
    destination.put(piece, begin, 1);
  }
  return values;
}

/// Where in a row, which is in C order, the value is that comes `index`-th in Fortran order.
std::uint64_t place_in_row(std::uint64_t index, const Shape& row_shape,
                           std::uint64_t row_elements) {
  std::uint64_t place = 0;
  std::uint64_t stride = row_elements;
  for (const std::int64_t signed_extent : row_shape) {
    const auto extent = static_cast<std::uint64_t>(signed_extent);
    stride /= extent;
    place += index % extent * stride;
    index /= extent;
  }
  return place;
}

/// One value of every row, then the next one of every row: turned while they are read, so that no
/// second copy is needed.
template <typename Value>
std::vector<Value> read_fortran_order(io::ByteSource& source, const ArrayHeader& header,
                                      const Selection& selection) {
  const std::uint64_t element_bytes = bytes_per_element(header.type);
  const auto count = static_cast<std::uint64_t>(selection.count);
  std::vector<Value> values(selection.elements());
  if (values.empty()) {  // as where rows are skipped, the source is then at their end
    source.skip(static_cast<std::uint64_t>(selection.rows) * selection.row_elements *
                element_bytes);
    return values;
  }
  Destination<Value> destination(source, header, selection, values);
  std::vector<std::byte> buffer(next_piece(count) * element_bytes);
  for (std::uint64_t index = 0; index < selection.row_elements; ++index) {
    const std::int64_t passed_over =
        index == 0 ? selection.first : selection.rows - selection.count;
    source.skip(static_cast<std::uint64_t>(passed_over) * element_bytes);
    const std::uint64_t place = place_in_row(index, selection.row_shape, selection.row_elements);
    for (std::uint64_t row = 0; row < count;) {
      const std::size_t size = next_piece(count - row);
      const auto piece = std::span(buffer).first(size * element_bytes);
      read_fully(source, header, piece);
      destination.put(piece, row * selection.row_elements + place, selection.row_elements);
      row += size;
    }
  }
  return values;
}

template <typename Value>
std::vector<Value> read_values(io::ByteSource& source, const ArrayHeader& header,
                               const Selection& selection) {
  return header.axis_order == AxisOrder::c ? read_c_order<Value>(source, header, selection)
                                           : read_fortran_order<Value>(source, header, selection);
}

}  // namespace

Dataset read_array(io::ByteSource& source, const ArrayHeader& header, RowRange range,
                   std::string name) {
  verify_claim(source, header);
  Selection selection{
      .first = range.first, .rows = header.extents.front(), .row_shape = header.row_shape()};
  selection.row_elements = static_cast<std::uint64_t>(element_count(selection.row_shape));
  if (range.first > selection.rows) {
    throw UsageError(fmt::format("{} has {} rows, none from row {} on; ask for rows that it has",
                                 source.path().string(), selection.rows, range.first));
  }
  const std::int64_t following = selection.rows - range.first;
  selection.count = range.count < 0 ? following : std::min(range.count, following);

  const auto fail_too_large = [&] {
    return Error(fmt::format("{} rows of {} from {} do not fit into memory; use fewer rows",
                             selection.count, to_string(selection.row_shape),
                             source.path().string()));
  };
  try {
    Dataset dataset = header.type == ElementType::u8
                          ? Dataset(std::move(name), selection.row_shape,
                                    read_values<std::uint8_t>(source, header, selection))
                          : Dataset(std::move(name), selection.row_shape,
                                    read_values<float>(source, header, selection));
    if (selection.count == following) verify_end(source, header);
    return dataset;
  } catch (const std::bad_alloc&) {
    throw fail_too_large();
  } catch (const std::length_error&) {
    throw fail_too_large();
  }
}

}  // namespace ae::data
