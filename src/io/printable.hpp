#pragma once

#include <string>
#include <string_view>

namespace ae::io {

/// Text with '?' for all that a terminal would obey: control characters, line ends among them.
std::string without_controls(std::string_view text);

/// Text that may come from a hostile file, as a message can show it: one line that is not long, and
/// nothing in it that a terminal would obey.
std::string printable(std::string_view text);

}  // namespace ae::io
