#include "io/numbers.hpp"

#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <system_error>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "io/printable.hpp"

namespace ae::io {

namespace {

bool are_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string_view without_sign(std::string_view text) {
  const bool has_sign = text.starts_with('-') || text.starts_with('+');
  return text.substr(has_sign ? 1 : 0);
}

bool has_leading_zeros(std::string_view text) {
  const std::string_view digits = without_sign(text);
  return digits.size() > 1 && are_digits(digits) && digits.front() == '0';
}

template <typename Number>
std::optional<Number> whole_text_as(std::string_view text) {
  Number value{};
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stopped != end) return std::nullopt;
  return value;
}

/// "a whole number from 0 to 255". What is left of the range of a signed type, which is wider than
/// what any option takes, is only said to a number beyond it.
template <typename Integer>
std::string expected(std::string_view text) {
  constexpr Integer kLeast = std::numeric_limits<Integer>::min();
  constexpr Integer kMost = std::numeric_limits<Integer>::max();
  if (text.starts_with('+') || has_leading_zeros(text)) {
    return "a whole number in decimal, without '+' and leading zeros";
  }
  if constexpr (kLeast == 0) return fmt::format("a whole number from 0 to {}", kMost);
  if (!are_digits(without_sign(text))) return "a whole number";
  return text.starts_with('-') ? fmt::format("a whole number, at least {}", kLeast)
                               : fmt::format("a whole number, at most {}", kMost);
}

[[noreturn]] void refuse(std::string_view what, std::string_view text, std::string_view must_be) {
  throw UsageError(fmt::format("{} is '{}', it must be {}", what, printable(text), must_be));
}

}  // namespace

template <std::integral Integer>
std::optional<Integer> to_integer(std::string_view text) {
  if (has_leading_zeros(text)) return std::nullopt;
  return whole_text_as<Integer>(text);
}

std::optional<float> to_float(std::string_view text) {
  const std::optional<float> value = whole_text_as<float>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

template <std::integral Integer>
Integer require_integer(std::string_view what, std::string_view text) {
  if (const std::optional<Integer> value = to_integer<Integer>(text)) return *value;
  refuse(what, text, expected<Integer>(text));
}

float require_float(std::string_view what, std::string_view text) {
  if (const std::optional<float> value = to_float(text)) return *value;
  refuse(what, text, "a finite number, like 0.5 or 1e-3, that a 32-bit float can hold");
}

template std::optional<int> to_integer<int>(std::string_view);
template std::optional<std::int64_t> to_integer<std::int64_t>(std::string_view);
template std::optional<std::uint64_t> to_integer<std::uint64_t>(std::string_view);
template int require_integer<int>(std::string_view, std::string_view);
template std::int64_t require_integer<std::int64_t>(std::string_view, std::string_view);
template std::uint64_t require_integer<std::uint64_t>(std::string_view, std::string_view);

}  // namespace ae::io
