#pragma once

#include <cstdint>
#include <string>

#include "ae/dataset.hpp"

#include "data/array_header.hpp"
#include "io/byte_source.hpp"

namespace ae::data {

/// Rows `first` to `first + count - 1`; a count of -1 means all that follow.
struct RowRange {
  std::int64_t first = 0;
  std::int64_t count = -1;
};

/// Reads the values that follow `header` in `source`, of which exactly the header was read, into a
/// data set called `name`. What the header claims is compared with what the file can hold before
/// anything is allocated; an array read to its end must end where the file does.
/// @throws Error if header and file disagree, or there is not enough memory; UsageError if the
/// range begins beyond the last row.
Dataset read_array(io::ByteSource& source, const ArrayHeader& header, RowRange range,
                   std::string name);

}  // namespace ae::data
