#include "ae/version.hpp"

namespace ae {

namespace {

/// What CMake's project() says.
constexpr std::string_view kProjectVersion = AE_PROJECT_VERSION;

/// Whether `text` is MAJOR.MINOR.PATCH.
constexpr bool is_version(std::string_view text, int major, int minor, int patch) {
  for (const int part : {major, minor, patch}) {
    int number = 0;
    while (!text.empty() && text.front() != '.') {
      number = 10 * number + (text.front() - '0');
      text.remove_prefix(1);
    }
    if (number != part) return false;
    if (!text.empty()) text.remove_prefix(1);
  }
  return text.empty();
}

static_assert(kProjectVersion == AE_VERSION_STRING &&
                  is_version(kProjectVersion, AE_VERSION_MAJOR, AE_VERSION_MINOR, AE_VERSION_PATCH),
              "include/ae/version.hpp has another version than CMakeLists.txt");

}  // namespace

std::string_view version() {
  return kProjectVersion;
}

}  // namespace ae
