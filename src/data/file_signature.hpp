#pragma once

#include <array>
#include <cstddef>

namespace ae::data {

/// The first bytes of a file, which tell what it is.
using FileSignature = std::array<std::byte, 4>;

}  // namespace ae::data
