#pragma once

#include "data/array_header.hpp"
#include "data/file_signature.hpp"
#include "io/byte_source.hpp"

namespace ae::data {

/// Whether a file that begins like this is IDX: two zeros, a known type and a rank.
bool is_idx(const FileSignature& signature);

/// Reads the rest of the header of `source`, of which `signature` was read already.
/// @throws Error if it is cut off or has no axis.
ArrayHeader read_idx_header(io::ByteSource& source, const FileSignature& signature);

}  // namespace ae::data
