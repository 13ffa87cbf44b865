#include "io/printable.hpp"

#include <cstddef>

namespace ae::io {

namespace {

/// Whether a byte is one of the further ones of a character of several bytes.
bool continues(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

}  // namespace

std::string without_controls(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      shown += '?';
    } else if (byte >= 0x80 && byte < 0xA0 && shown.ends_with('\xC2')) {
      shown.back() = '?';  // U+0080 to U+009F, control characters as well
    } else {
      shown += c;
    }
  }
  return shown;
}

std::string printable(std::string_view text) {
  constexpr std::size_t kLongest = 250;
  if (text.size() <= kLongest) return without_controls(text);
  std::size_t end = kLongest;
  while (end < text.size() && continues(text[end])) ++end;
  return without_controls(text.substr(0, end)) + (end < text.size() ? "..." : "");
}

}  // namespace ae::io
