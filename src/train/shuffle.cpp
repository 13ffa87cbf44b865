#include "train/shuffle.hpp"

#include <numeric>
#include <utility>

#include "formulas/philox.hpp"

namespace ae {

void shuffle_rows(std::uint64_t seed, std::int64_t epoch, std::span<std::int32_t> rows) {
  std::iota(rows.begin(), rows.end(), 0);
  const Philox philox(seed);
  for (std::size_t remaining = rows.size(); remaining > 1; --remaining) {
    const std::uint32_t word =
        philox.word(RandomPurpose::shuffle, static_cast<std::uint32_t>(epoch), remaining - 1);
    const std::uint32_t chosen = to_bounded(word, static_cast<std::uint32_t>(remaining));
    std::swap(rows[remaining - 1], rows[chosen]);
  }
}

}  // namespace ae
