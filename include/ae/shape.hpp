#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ae {

/// The extents of one sample, outermost first: {28, 28} for an MNIST digit, {784} for a vector.
using Shape = std::vector<std::int64_t>;

/// The product of the extents; 1 for an empty shape.
/// @throws Error for a negative extent or a product that no std::int64_t holds.
std::int64_t element_count(const Shape& shape);

/// "28x28", for messages and file metadata.
std::string to_string(const Shape& shape);

}  // namespace ae
