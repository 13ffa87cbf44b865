// Compiled once for each instruction set, which AE_ISA names: see kernels/cpu/vector.hpp.

#include "dense/transpose_simd.hpp"

#include "dense/transpose_in_vectors.hpp"

namespace ae::cpu::AE_ISA {

namespace {

void transpose(const ConstTile& from, bool add, float* to, std::int64_t to_stride) {
  if (add) {
    transpose_in_vectors<true>(from, to, to_stride);
  } else {
    transpose_in_vectors<false>(from, to, to_stride);
  }
}

}  // namespace

const TransposeSimd transpose_simd{transpose};

}  // namespace ae::cpu::AE_ISA
