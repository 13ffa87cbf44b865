// Compiled once for each instruction set, which AE_ISA names: see kernels/cpu/vector.hpp.

#include "dropout/dropout_simd.hpp"

#include "cpu/draws.hpp"
#include "formulas/dropout.hpp"

namespace ae::cpu::AE_ISA {

namespace {

void drop(float probability, const RandomStream& stream, std::int64_t first, const float* from,
          float* to, std::int64_t count) {
  const dropout::Rate rate = dropout::rate_of(probability);
  for_draws<std::uint32_t>(stream, first, count,
                           [&](std::int64_t at, std::int64_t size, const std::uint32_t* words) {
                             const float* in = from + at;
                             float* out = to + at;
#pragma omp simd
                             for (std::int64_t i = 0; i < size; ++i)
                               out[i] = dropout::value(in[i], rate, words[i]);
                           });
}

}  // namespace

const DropoutSimd dropout_simd{drop};

}  // namespace ae::cpu::AE_ISA
