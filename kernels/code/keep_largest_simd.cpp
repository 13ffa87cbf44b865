// Compiled once for each instruction set, which AE_ISA names: see kernels/cpu/vector.hpp.

#include "code/keep_largest_simd.hpp"

#include "formulas/ordering.hpp"

namespace ae::cpu::AE_ISA {

namespace {

AE_HOST_DEVICE std::uint32_t ordered_value(float value) {
  return ordered(__builtin_bit_cast(std::uint32_t, value));
}

/// How many values of a row are at or above `bound`, in the order of ordered().
AE_HOST_DEVICE std::int64_t count_from(const float* row, std::int64_t cols, std::uint32_t bound) {
  std::uint32_t count = 0;
#pragma omp simd reduction(+ : count)
  for (std::int64_t c = 0; c < cols; ++c) count += ordered_value(row[c]) >= bound ? 1U : 0U;
  return count;
}

/// The k-th largest value is found bit by bit from the top: a bit of it is one if k values or more
/// are at or above what that makes. Where a count is k, what is below can go.
void keep_largest(std::int64_t k, const Tile& y) {
  for (std::int64_t r = 0; r < y.rows; ++r) {
    float* row = y.data + r * y.stride;
    std::uint32_t bound = 0;
    std::int64_t left = y.cols;  // values at or above it
    for (int bit = 31; bit >= 0 && left != k; --bit) {
      const std::uint32_t higher = bound | std::uint32_t{1} << bit;
      const std::int64_t count = count_from(row, y.cols, higher);
      if (count < k) continue;
      bound = higher;
      left = count;
    }
    // More than k are left only where several equal the bound: the last of them go.
    for (std::int64_t c = y.cols - 1; left > k; --c) {
      if (ordered_value(row[c]) != bound) continue;
      row[c] = 0.0F;
      --left;
    }
#pragma omp simd
    for (std::int64_t c = 0; c < y.cols; ++c)
      row[c] = ordered_value(row[c]) < bound ? 0.0F : row[c];
  }
}

}  // namespace

const KeepLargestSimd keep_largest_simd{keep_largest};

}  // namespace ae::cpu::AE_ISA
