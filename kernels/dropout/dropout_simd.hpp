#pragma once

#include <cstdint>

#include "cpu/instruction_set.hpp"
#include "formulas/philox.hpp"

namespace ae::cpu {

struct DropoutSimd {
  /// What dropout makes of `count` values or of their gradients, the first being number `first` of
  /// the stream; see DropoutMask.
  void (*drop)(float rate, const RandomStream& stream, std::int64_t first, const float* from,
               float* to, std::int64_t count);
};
AE_SIMD(DropoutSimd, dropout_simd)

}  // namespace ae::cpu
