#pragma once

#include "data/array_header.hpp"
#include "data/file_signature.hpp"
#include "io/byte_source.hpp"

namespace ae::data {

/// Whether a file that begins like this is NumPy's .npy.
bool is_npy(const FileSignature& signature);

/// Reads the rest of the header of `source`, of which `signature` was read already. Versions 1.0,
/// 2.0 and 3.0; booleans, integers of 1 to 8 bytes and floats of 2 to 8, of either byte order, in C
/// or Fortran order.
/// @throws Error if it is cut off, damaged, or of another kind (with the Python that helps).
ArrayHeader read_npy_header(io::ByteSource& source, const FileSignature& signature);

}  // namespace ae::data
