#pragma once

#include <cstdint>

namespace ae::cpu {

/// values[0 … channels) again and again, up to `cols` of them.
void repeat(const float* values, std::int64_t channels, std::int64_t cols, float* to);
/// sums[c] = Σ of the columns that are c modulo `channels`.
void fold(const float* columns, std::int64_t cols, std::int64_t channels, float* sums);

}  // namespace ae::cpu
