#include "ae/version.hpp"

namespace ae {

std::string_view version() { return AE_VERSION; }

}  // namespace ae
