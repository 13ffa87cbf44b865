#pragma once

#include <bit>
#include <cstdint>

#include "ae/dataset.hpp"

namespace ae::data {

/// What a file stores for one value.
enum class ElementType : std::uint8_t { u8, i8, i16, i32, f32, f64 };

/// What a file says about the array it holds, in whatever format; not yet believed.
struct ArrayHeader {
  ElementType type = ElementType::u8;
  std::endian byte_order = std::endian::native;
  Shape extents;                   ///< rows first; at least one
  std::uint64_t header_bytes = 0;  ///< the values begin after these
};

}  // namespace ae::data
