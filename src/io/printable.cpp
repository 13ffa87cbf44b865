#include "io/printable.hpp"

#include <cstddef>

namespace ae::io {

std::string printable(std::string_view text) {
  constexpr std::size_t kLongest = 250;
  std::string line;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool continues = (byte & 0xC0U) == 0x80U;  // a character of several bytes
    if (line.size() >= kLongest && !continues) return line + "...";
    if (byte < 0x20 || byte == 0x7F) {
      line += '?';
    } else if (byte >= 0x80 && byte < 0xA0 && line.ends_with('\xC2')) {
      line.back() = '?';  // U+0080 to U+009F, control characters as well
    } else {
      line += c;
    }
  }
  return line;
}

}  // namespace ae::io
