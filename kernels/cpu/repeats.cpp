#include "cpu/repeats.hpp"

#include <algorithm>

namespace ae::cpu {

void repeat(const float* values, std::int64_t channels, std::int64_t cols, float* to) {
  std::int64_t there = std::min(channels, cols);
  std::copy_n(values, there, to);
  // What is there is a whole number of repeats until it ends.
  while (there < cols) {
    const std::int64_t more = std::min(there, cols - there);
    std::copy_n(to, more, to + there);
    there += more;
  }
}

void fold(const float* columns, std::int64_t cols, std::int64_t channels, float* sums) {
  std::fill_n(sums, channels, 0.0F);
  for (std::int64_t first = 0; first < cols; first += channels) {
    for (std::int64_t c = 0; c < channels; ++c) sums[c] += columns[first + c];
  }
}

}  // namespace ae::cpu
