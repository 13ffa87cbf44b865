#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ae::cli {

/// ", did you mean PREFIXnearest", or nothing if none is near.
std::string did_you_mean(std::string_view wrong, const std::vector<std::string>& known,
                         std::string_view prefix);

}  // namespace ae::cli
