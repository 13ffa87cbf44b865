#include "data/idx_header.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include <fmt/format.h>

#include "ae/error.hpp"

// The format: two zero bytes, the element type, the rank, then one big-endian 32-bit extent an
// axis, then the values, big-endian too. Source: https://yann.lecun.com/exdb/mnist ("the IDX file
// format").

namespace ae::data {
namespace {

constexpr std::size_t kExtentBytes = 4;

std::optional<ElementType> element_type(std::byte code) {
  switch (std::to_integer<int>(code)) {
    case 0x08:
      return ElementType::u8;
    case 0x09:
      return ElementType::i8;
    case 0x0B:
      return ElementType::i16;
    case 0x0C:
      return ElementType::i32;
    case 0x0D:
      return ElementType::f32;
    case 0x0E:
      return ElementType::f64;
    default:
      return std::nullopt;
  }
}

std::int64_t big_endian_extent(std::span<const std::byte, kExtentBytes> bytes) {
  std::int64_t extent = 0;
  for (const std::byte byte : bytes) extent = extent * 256 + std::to_integer<int>(byte);
  return extent;
}

}  // namespace

bool is_idx(const FileSignature& signature) {
  return signature[0] == std::byte{0} && signature[1] == std::byte{0} &&
         element_type(signature[2]).has_value();
}

ArrayHeader read_idx_header(io::ByteSource& source, const FileSignature& signature) {
  const auto rank = std::to_integer<std::size_t>(signature[3]);
  if (rank == 0) {
    throw Error(fmt::format(
        "{} holds a single value: its header has no axis (byte 3 is 0); give a file with rows",
        source.path().string()));
  }

  ArrayHeader header;
  header.type = element_type(signature[2]).value();
  header.byte_order = std::endian::big;
  header.header_bytes = signature.size() + rank * kExtentBytes;

  std::vector<std::byte> extents(rank * kExtentBytes);
  const std::size_t size = source.read(extents);
  if (size < extents.size()) {
    throw Error(fmt::format(
        "{} is cut off: it ends at byte {} inside its header of {} bytes; fetch it again",
        source.path().string(), signature.size() + size, header.header_bytes));
  }
  for (std::size_t axis = 0; axis < rank; ++axis) {
    header.extents.push_back(
        big_endian_extent(std::span(extents).subspan(axis * kExtentBytes).first<kExtentBytes>()));
  }
  return header;
}

}  // namespace ae::data
