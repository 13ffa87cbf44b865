#pragma once

#include <algorithm>

#include "core/tensor.hpp"
#include "cpu/planner.hpp"
#include "dense/transpose_simd.hpp"

namespace ae::cpu {

/// Rows of a matrix that are transposed by one task.
inline constexpr std::int64_t kTransposedRows = 64;

inline std::int64_t transpose_stripes(const ConstMatrix& from) {
  return pieces(from.rows, kTransposedRows);
}

/// Stripe number `stripe` of the rows of `from`, as columns of `to`.
inline void transpose_stripe(const ConstMatrix& from, std::int64_t stripe, bool add, float* to,
                             const TransposeSimd& simd) {
  const std::int64_t begin = stripe * kTransposedRows;
  simd.transpose({from.data + begin * from.cols, std::min(kTransposedRows, from.rows - begin),
                  from.cols, from.cols},
                 add, to + begin, from.rows);
}

}  // namespace ae::cpu
