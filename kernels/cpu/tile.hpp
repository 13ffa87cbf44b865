#pragma once

#include <cstdint>

namespace ae::cpu {

/// A rectangle within a row-major matrix, `stride` floats from row to row.
struct Tile {
  float* data;
  std::int64_t rows;
  std::int64_t cols;
  std::int64_t stride;
};

struct ConstTile {
  const float* data;
  std::int64_t rows;
  std::int64_t cols;
  std::int64_t stride;
};

}  // namespace ae::cpu
