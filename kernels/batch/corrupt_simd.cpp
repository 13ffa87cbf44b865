// Compiled once for each instruction set, which AE_ISA names: see kernels/cpu/vector.hpp.

#include "batch/corrupt_simd.hpp"

#include <cstddef>
#include <cstring>

#include "cpu/draws.hpp"
#include "formulas/noise.hpp"

namespace ae::cpu::AE_ISA {

namespace {

template <typename Formula, typename Draw>
void corrupt(float amount, const RandomStream& stream, std::int64_t first, const float* clean,
             float* noisy, std::int64_t count) {
  for_draws<Draw>(stream, first, count, [&](std::int64_t at, std::int64_t size, const Draw* draws) {
    const float* from = clean + at;
    float* to = noisy + at;
#pragma omp simd
    for (std::int64_t i = 0; i < size; ++i) {
      to[i] = Formula::value(from[i], amount, draws[i]);
    }
  });
}

void corrupt(const NoiseOptions& noise, const RandomStream& stream, std::int64_t first,
             const float* clean, float* noisy, std::int64_t count) {
  noises::for_noise(noise.kind, [&]<typename Formula>() {
    if constexpr (Formula::kDraw == noises::Draw::nothing) {
      if (noisy == clean) return;
      std::memcpy(noisy, clean, static_cast<std::size_t>(count) * sizeof(float));
    } else if constexpr (Formula::kDraw == noises::Draw::word) {
      corrupt<Formula, std::uint32_t>(noise.amount, stream, first, clean, noisy, count);
    } else {
      corrupt<Formula, float>(noise.amount, stream, first, clean, noisy, count);
    }
  });
}

}  // namespace

const CorruptSimd corrupt_simd{corrupt};

}  // namespace ae::cpu::AE_ISA
