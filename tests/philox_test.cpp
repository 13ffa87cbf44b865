#include "formulas/philox.hpp"

#include <array>
#include <cstdint>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace ae {
namespace {

using Counter = std::array<std::uint32_t, 4>;

Counter words_at(std::uint64_t seed, const Counter& counter) {
  const Philox::Words words = Philox(seed).at(counter[0], counter[1], counter[2], counter[3]);
  return {words.word[0], words.word[1], words.word[2], words.word[3]};
}

/// From the test vectors that come with Random123, the authors' own implementation.
TEST(Philox, GivesThePublishedAnswers) {
  EXPECT_EQ(words_at(0, {0, 0, 0, 0}), (Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(words_at(0xffffffff'ffffffff, {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}),
            (Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(words_at(0x299f31d0'a4093822, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}),
            (Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, AddressesWordsByPurposeEpochAndElement) {
  // What is written into the counter is part of what makes a seed repeatable for ever:
  // (element / 4 in 64 bits, epoch, purpose), and the word is number element mod 4.
  const Philox philox(0x299f31d0'a4093822);
  const std::uint64_t block = 0x05a308d3'243f6a88U;
  for (std::uint64_t i = 0; i < 4; ++i) {
    EXPECT_EQ(philox.word(RandomPurpose::shuffle, 7, 4 * block + i),
              philox.at(0x243f6a88, 0x05a308d3, 7, 1).word[i]);
  }
  EXPECT_EQ(static_cast<std::uint32_t>(RandomPurpose::weights), 0U);
  EXPECT_EQ(static_cast<std::uint32_t>(RandomPurpose::shuffle), 1U);
}

TEST(Philox, AddressesWordsByPurposeStepAndBlock) {
  // Part of what makes a seed repeatable, too: (block, step's upper half, its lower half, purpose).
  constexpr std::uint64_t kSeed = 0x299f31d0'a4093822;
  const RandomStream stream(kSeed, RandomPurpose::noise, 0x85a308d3'13198a2eU);
  for (std::uint64_t i = 0; i < 4; ++i) {
    EXPECT_EQ(stream.words(0x243f6a88).word[i],
              Philox(kSeed).at(0x243f6a88, 0x85a308d3, 0x13198a2e, 3).word[i]);
    EXPECT_EQ(RandomStream(kSeed, RandomPurpose::code, 7).words(5).word[i],
              Philox(kSeed).word(RandomPurpose::code, 7, 20 + i));
  }
  EXPECT_EQ(static_cast<std::uint32_t>(RandomPurpose::noise), 3U);
  EXPECT_EQ(static_cast<std::uint32_t>(RandomPurpose::code), 4U);
  const std::int64_t step = 7;
  EXPECT_EQ(stream_of_step(kSeed, RandomPurpose::code, &step).number, 7U);
  EXPECT_EQ(stream_of_step(kSeed, RandomPurpose::code, nullptr).number, 0U);
}

TEST(Philox, KeepsItsStreamsApart) {
  // Some 40,000 words of 32 bits: about 0.2 coincidences are due by chance, hundreds if two streams
  // were one.
  std::set<std::uint32_t> seen;
  std::size_t drawn = 0;
  for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 32U}) {
    const Philox philox(seed);
    for (const RandomPurpose purpose :
         {RandomPurpose::weights, RandomPurpose::shuffle, RandomPurpose::synthetic_data}) {
      for (const std::uint32_t epoch : {0U, 1U, 0xffffffffU}) {
        for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{1} << 34U}) {
          for (std::uint64_t element = first; element < first + 800; ++element) {
            seen.insert(philox.word(purpose, epoch, element));
            ++drawn;
          }
        }
      }
    }
  }
  EXPECT_GE(seen.size() + 5, drawn);
}

TEST(Philox, FillsTheUnitIntervalAndLeavesOneOut) {
  EXPECT_EQ(to_unit_float(0), 0.0F);
  EXPECT_EQ(to_unit_float(0xffU), 0.0F);
  EXPECT_EQ(to_unit_float(0x80000000U), 0.5F);
  EXPECT_EQ(to_unit_float(0xffffffffU), 1.0F - 0x1p-24F);

  constexpr int kDraws = 100'000;
  const Philox philox(42);
  double sum = 0;
  double squares = 0;
  for (std::uint64_t element = 0; element < kDraws; ++element) {
    const auto value =
        static_cast<double>(to_unit_float(philox.word(RandomPurpose::weights, 0, element)));
    ASSERT_GE(value, 0);
    ASSERT_LT(value, 1);
    sum += value;
    squares += value * value;
  }
  // Within five standard deviations of the mean of so many: √(1/12/n) and √(4/45/n).
  EXPECT_NEAR(sum / kDraws, 0.5, 5 * 0.2887 / 316.2);
  EXPECT_NEAR(squares / kDraws, 1.0 / 3, 5 * 0.2981 / 316.2);
}

TEST(Philox, BoundsAreKeptAndFilledEvenly) {
  for (const std::uint32_t bound : {1U, 2U, 7U, 60'000U, 0xffffffffU}) {
    EXPECT_EQ(to_bounded(0, bound), 0U);
    EXPECT_EQ(to_bounded(0xffffffffU, bound), bound - 1);
  }
  constexpr std::uint32_t kBound = 7;
  constexpr int kDraws = 70'000;
  std::array<int, kBound> drawn{};
  const Philox philox(42);
  for (std::uint64_t element = 0; element < kDraws; ++element) {
    ++drawn.at(to_bounded(philox.word(RandomPurpose::shuffle, 3, element), kBound));
  }
  for (const int times : drawn) EXPECT_NEAR(times, 10'000, 5 * 92.6);  // 5·√(n·1/7·6/7)
}

}  // namespace
}  // namespace ae
