// Compiled once for each instruction set, which AE_ISA names: see kernels/cpu/vector.hpp.

#include "batch/gather_simd.hpp"

namespace ae::cpu::AE_ISA {

namespace {

void convert_bytes(const std::uint8_t* from, float* to, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]) / 255.0F;
}

}  // namespace

const GatherSimd gather_simd{convert_bytes};

}  // namespace ae::cpu::AE_ISA
