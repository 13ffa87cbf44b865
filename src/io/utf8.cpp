#include "io/utf8.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace ae::io {

namespace {

constexpr std::size_t kStandInLength = 4;

std::uint32_t byte_at(std::string_view text, std::size_t place) {
  return static_cast<unsigned char>(text[place]);
}

/// How many bytes the character has that `text` begins with; 0 if it is no UTF-8. Overlong forms,
/// surrogates and what lies beyond U+10FFFF are none.
std::size_t character_length(std::string_view text) {
  const std::uint32_t first = byte_at(text, 0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte_at(text, i) & 0xC0U) != 0x80U) return 0;
  }
  const std::uint32_t second = byte_at(text, 1);
  const bool is_outside = (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
                          (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F);
  return is_outside ? 0 : length;
}

/// U+10FF80 … U+10FFFF: F4 8F BE 80 … F4 8F BF BF.
bool is_stand_in(std::string_view character) {
  return character.size() >= kStandInLength && character.starts_with("\xF4\x8F") &&
         byte_at(character, 2) >= 0xBE;
}

std::string stand_in(char byte) {
  const auto low = static_cast<unsigned char>(byte) & 0x7FU;
  return {'\xF4', '\x8F', static_cast<char>(0xBEU | low >> 6U),
          static_cast<char>(0x80U | (low & 0x3FU))};
}

}  // namespace

std::string to_utf8(std::string_view bytes) {
  std::string text;
  while (!bytes.empty()) {
    const std::size_t length = character_length(bytes);
    const std::string_view character = bytes.substr(0, std::max<std::size_t>(length, 1));
    if (length == 0 || is_stand_in(character)) {
      for (const char byte : character) text += stand_in(byte);
    } else {
      text += character;
    }
    bytes.remove_prefix(character.size());
  }
  return text;
}

std::string from_utf8(std::string_view text) {
  std::string bytes;
  while (!text.empty()) {
    if (is_stand_in(text)) {
      bytes +=
          static_cast<char>(0x80U | (byte_at(text, 2) & 1U) << 6U | (byte_at(text, 3) & 0x3FU));
      text.remove_prefix(kStandInLength);
    } else {
      bytes += text.front();
      text.remove_prefix(1);
    }
  }
  return bytes;
}

}  // namespace ae::io
