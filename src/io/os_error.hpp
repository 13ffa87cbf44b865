#pragma once

#include <string>
#include <string_view>

namespace ae::io {

/// "`what`: No space left on device; free some space or choose another folder": what failed, the
/// system's reason and what to do about it. `error_number` is an errno.
std::string os_error_message(std::string_view what, int error_number);

}  // namespace ae::io
