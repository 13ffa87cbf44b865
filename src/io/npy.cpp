#include "io/npy.hpp"

#include <bit>
#include <cstddef>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ae/error.hpp"

#include "io/atomic_file.hpp"

namespace ae::io {
namespace {

/// The values start at a multiple of this, so that the file can be mapped into memory.
constexpr std::size_t kAlignment = 64;

/// Format version 1.0: magic, version, the header's length in two bytes, the header (a Python
/// dictionary, padded with spaces and ended by a newline).
/// Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
std::string npy_header(const Shape& shape) {
  using std::string_literals::operator""s;
  const std::string magic = "\x93NUMPY\x01\x00"s;
  std::string header = fmt::format("{{'descr': '{}f4', 'fortran_order': False, 'shape': ({}{}), }}",
                                   std::endian::native == std::endian::little ? '<' : '>',
                                   fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  const std::size_t unpadded = magic.size() + 2 + header.size() + 1;
  header.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  header += '\n';
  if (header.size() > 0xFFFF) throw Error("an array has too many dimensions for a .npy file");
  const std::string length = {static_cast<char>(header.size() & 0xFF),
                              static_cast<char>(header.size() >> 8U)};
  return magic + length + header;
}

}  // namespace

void write_npy(const std::filesystem::path& path, std::span<const float> values,
               const Shape& shape) {
  if (element_count(shape) != static_cast<std::int64_t>(values.size())) {
    throw Error(fmt::format("{} cannot be written: {} values are no array of {}", path.string(),
                            values.size(), to_string(shape)));
  }
  AtomicFile file(path);
  file.write(npy_header(shape));
  file.write(std::as_bytes(values));
  file.commit();
}

}  // namespace ae::io
