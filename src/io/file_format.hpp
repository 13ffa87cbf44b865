#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace ae::io {

/// What a file is by its first eight bytes, for messages about files that are something else than
/// was asked for: "a PNG picture", "text, as CSV is". Empty if they say nothing.
std::string_view format_of(std::span<const std::byte> first_bytes);

}  // namespace ae::io
