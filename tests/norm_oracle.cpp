#include "norm_oracle.hpp"

#include <cmath>
#include <cstddef>

namespace ae::test {

bool NormOracle::is_dropped(float rate, std::uint64_t seed, std::int64_t step, std::uint32_t layer,
                            std::int64_t number) {
  const auto stream = static_cast<std::uint64_t>(step);
  const std::uint32_t word =
      Philox(seed)
          .at(static_cast<std::uint32_t>(number / 4), static_cast<std::uint32_t>(stream >> 32U),
              static_cast<std::uint32_t>(stream), 5U + 256U * layer)
          .word[number % 4];
  // The word's upper 24 bits as a fraction.
  return std::floor(word / 256.0) / 16777216.0 < static_cast<double>(rate);
}

std::vector<Expected> NormOracle::dropout(float rate, std::uint64_t seed, std::int64_t step,
                                          std::uint32_t layer,
                                          std::span<const float> values) const {
  std::vector<Expected> result;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (is_dropped(rate, seed, step, layer, static_cast<std::int64_t>(i))) {
      result.push_back({0, 0});
      continue;
    }
    // 1 - rate, its reciprocal and the product are rounded.
    const double value = static_cast<double>(values[i]) / (1 - static_cast<double>(rate));
    result.push_back({value, 3 * precision_.unit * std::abs(value) + precision_.smallest});
  }
  return result;
}

}  // namespace ae::test
