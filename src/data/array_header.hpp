#pragma once

#include <bit>
#include <cstdint>

#include "ae/dataset.hpp"

namespace ae::data {

/// What a file stores for one value. A boolean is a byte, 0 or 1.
enum class ElementType : std::uint8_t {
  boolean,
  u8,
  u16,
  u32,
  u64,
  i8,
  i16,
  i32,
  i64,
  f16,
  f32,
  f64
};

/// C: a row's values lie together. Fortran: the rows' first values lie together, then the rows'
/// second ones; of a row's axes the outermost runs fastest.
enum class AxisOrder : std::uint8_t { c, fortran };

/// What a file says about the array it holds, in whatever format; not yet believed.
struct ArrayHeader {
  ElementType type = ElementType::u8;
  std::endian byte_order = std::endian::native;
  AxisOrder axis_order = AxisOrder::c;
  Shape extents;                   ///< rows first; at least one
  std::uint64_t header_bytes = 0;  ///< the values begin after these

  /// Of an array of a single axis, rows of one value.
  [[nodiscard]] Shape row_shape() const {
    return extents.size() == 1 ? Shape{1} : Shape(extents.begin() + 1, extents.end());
  }
};

}  // namespace ae::data
