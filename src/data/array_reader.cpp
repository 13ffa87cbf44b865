#include "data/array_reader.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <limits>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ae/error.hpp"

namespace ae::data {
namespace {

/// Values are read in pieces that stay in the cache between being cleared, filled and converted.
constexpr std::size_t kPieceElements = std::size_t{128} * 1024;

/// As long as it is not certain that a file holds what it claims, memory for no more than this many
/// values is reserved ahead of what really arrives.
constexpr std::uint64_t kReservedOnTrust = std::uint64_t{64} * 1024 * 1024;

constexpr std::uint64_t kLargestFile = std::numeric_limits<std::int64_t>::max();

std::uint64_t bytes_per_element(ElementType type) {
  switch (type) {
    case ElementType::u8:
    case ElementType::i8:
      return 1;
    case ElementType::i16:
      return 2;
    case ElementType::i32:
    case ElementType::f32:
      return 4;
    case ElementType::f64:
      return 8;
  }
  throw std::logic_error("unknown element type");
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

template <typename Stored>
void append_as(std::span<const std::byte> piece, std::endian byte_order,
               std::vector<float>& values) {
  const std::size_t count = piece.size() / sizeof(Stored);
  const std::size_t begin = values.size();
  values.resize(begin + count);
  for (std::size_t i = 0; i < count; ++i) {
    values[begin + i] =
        static_cast<float>(element_from<Stored>(piece.data() + i * sizeof(Stored), byte_order));
  }
}

void append_floats(ElementType type, std::span<const std::byte> piece, std::endian byte_order,
                   std::vector<float>& values) {
  switch (type) {
    case ElementType::u8:
      return append_as<std::uint8_t>(piece, byte_order, values);
    case ElementType::i8:
      return append_as<std::int8_t>(piece, byte_order, values);
    case ElementType::i16:
      return append_as<std::int16_t>(piece, byte_order, values);
    case ElementType::i32:
      return append_as<std::int32_t>(piece, byte_order, values);
    case ElementType::f32:
      return append_as<float>(piece, byte_order, values);
    case ElementType::f64:
      return append_as<double>(piece, byte_order, values);
  }
}

std::size_t reservation(const io::ByteSource& source, std::uint64_t count) {
  return source.size_is_known() ? count : std::min(count, kReservedOnTrust);
}

std::size_t next_piece(std::uint64_t remaining) {
  return static_cast<std::size_t>(std::min<std::uint64_t>(remaining, kPieceElements));
}

std::vector<std::uint8_t> read_bytes(io::ByteSource& source, const ArrayHeader& header,
                                     std::uint64_t count) {
  std::vector<std::uint8_t> values;
  values.reserve(reservation(source, count));
  while (values.size() < count) {
    const std::size_t begin = values.size();
    values.resize(begin + next_piece(count - begin));
    read_fully(source, header, std::as_writable_bytes(std::span(values).subspan(begin)));
  }
  return values;
}

std::vector<float> read_floats(io::ByteSource& source, const ArrayHeader& header,
                               std::uint64_t count) {
  const std::uint64_t element_bytes = bytes_per_element(header.type);
  std::vector<float> values;
  values.reserve(reservation(source, count));
  std::vector<std::byte> buffer(next_piece(count) * element_bytes);
  while (values.size() < count) {
    const auto piece = std::span(buffer).first(next_piece(count - values.size()) * element_bytes);
    read_fully(source, header, piece);
    append_floats(header.type, piece, header.byte_order, values);
  }
  return values;
}

}  // namespace

Dataset read_array(io::ByteSource& source, const ArrayHeader& header, RowRange range,
                   std::string name) {
  verify_claim(source, header);
  Shape row_shape(header.extents.begin() + 1, header.extents.end());
  if (row_shape.empty()) row_shape = {1};
  const std::int64_t rows = header.extents.front();
  if (range.first > rows) {
    throw UsageError(fmt::format("{} has {} rows, none from row {} on; ask for rows that it has",
                                 source.path().string(), rows, range.first));
  }
  const std::int64_t following = rows - range.first;
  const std::int64_t count = range.count < 0 ? following : std::min(range.count, following);
  const auto row_elements = static_cast<std::uint64_t>(element_count(row_shape));
  const std::uint64_t elements = static_cast<std::uint64_t>(count) * row_elements;
  source.skip(static_cast<std::uint64_t>(range.first) * row_elements *
              bytes_per_element(header.type));

  const auto fail_too_large = [&] {
    return Error(fmt::format("{} rows of {} from {} do not fit into memory; use fewer rows", count,
                             to_string(row_shape), source.path().string()));
  };
  try {
    Dataset dataset =
        header.type == ElementType::u8
            ? Dataset(std::move(name), row_shape, read_bytes(source, header, elements))
            : Dataset(std::move(name), row_shape, read_floats(source, header, elements));
    if (count == following) verify_end(source, header);
    return dataset;
  } catch (const std::bad_alloc&) {
    throw fail_too_large();
  } catch (const std::length_error&) {
    throw fail_too_large();
  }
}

}  // namespace ae::data
