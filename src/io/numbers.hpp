#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string_view>

/// Numbers as people and files write them. Everything that ae reads from text, options, layers,
/// devices and models, goes through here.
namespace ae::io {

/// The whole number that `text` is: decimal digits, for signed types after an optional '-'. Nothing
/// for all else: no digits, a '+', leading zeros (010 is 8 to some readers), blanks, anything that
/// is left over, and what the type cannot hold.
template <std::integral Integer>
std::optional<Integer> to_integer(std::string_view text);

/// The finite number that `text` is, as std::from_chars reads it: decimal, in either notation.
/// Nothing for all else, "nan" and "inf" included.
std::optional<float> to_float(std::string_view text);

/// The same of a text that must be a number; `what` is what has this value, as "--seed".
/// @throws UsageError that shows the text and says what it must be.
template <std::integral Integer>
Integer require_integer(std::string_view what, std::string_view text);
float require_float(std::string_view what, std::string_view text);

extern template std::optional<int> to_integer<int>(std::string_view);
extern template std::optional<std::int64_t> to_integer<std::int64_t>(std::string_view);
extern template std::optional<std::uint64_t> to_integer<std::uint64_t>(std::string_view);
extern template int require_integer<int>(std::string_view, std::string_view);
extern template std::int64_t require_integer<std::int64_t>(std::string_view, std::string_view);
extern template std::uint64_t require_integer<std::uint64_t>(std::string_view, std::string_view);

}  // namespace ae::io
