#pragma once

#include <string_view>

namespace ae {

/// "0.1.0", as CMake's project version has it.
std::string_view version();

}  // namespace ae
