#pragma once

#include <string_view>

/// The version of these headers, for the preprocessor. The library's build checks that it is
/// CMake's project version.
#define AE_VERSION_MAJOR 0
#define AE_VERSION_MINOR 1
#define AE_VERSION_PATCH 0
#define AE_VERSION_STRING "0.1.0"
/// One number that grows with every version: 10203 is 1.2.3.
#define AE_VERSION (AE_VERSION_MAJOR * 10000 + AE_VERSION_MINOR * 100 + AE_VERSION_PATCH)

namespace ae {

/// The version of the library that is linked, "0.1.0". Another one than AE_VERSION_STRING means
/// that headers and library are not of one installation.
std::string_view version();

}  // namespace ae
