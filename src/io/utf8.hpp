#pragma once

#include <string>
#include <string_view>

namespace ae::io {

/// Any bytes, such as the name of a file, as UTF-8, for formats that hold nothing else (TOML,
/// JSON). UTF-8 stays as it is. A byte b that is part of no character becomes the private character
/// U+10FF00 + b, so that from_utf8 gives the same bytes back; bytes that look like one do likewise.
std::string to_utf8(std::string_view bytes);
std::string from_utf8(std::string_view text);

}  // namespace ae::io
