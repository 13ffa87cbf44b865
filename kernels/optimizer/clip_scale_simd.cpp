// Compiled once for each instruction set, which AE_ISA names: see kernels/cpu/vector.hpp.

#include "optimizer/clip_scale_simd.hpp"

namespace ae::cpu::AE_ISA {

namespace {

double sum_of_squares(const float* values, std::int64_t count) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < count; ++i) {
    const auto value = static_cast<double>(values[i]);
    sum += value * value;
  }
  return sum;
}

}  // namespace

const ClipScaleSimd clip_scale_simd{sum_of_squares};

}  // namespace ae::cpu::AE_ISA
