#pragma once

#include <cstdint>

#include "cpu/vector.hpp"
#include "formulas/normal.hpp"
#include "formulas/philox.hpp"

/// Many random numbers side by side, for sources that are compiled once for each instruction set.
namespace ae::cpu::AE_ISA {

/// Philox blocks that are made side by side, and the numbers in them.
inline constexpr std::int64_t kBlocks = 64;
inline constexpr std::int64_t kDraws = 4 * kBlocks;

/// words[i][b] is word i of block first_block + b.
AE_HOST_DEVICE void make_words(const RandomStream& stream, std::uint32_t first_block,
                               std::int64_t blocks, std::uint32_t (&words)[4][kBlocks]) {
#pragma omp simd
  for (std::int64_t b = 0; b < blocks; ++b) {
    const Philox::Words made = stream.words(first_block + static_cast<std::uint32_t>(b));
    words[0][b] = made.word[0];
    words[1][b] = made.word[1];
    words[2][b] = made.word[2];
    words[3][b] = made.word[3];
  }
}

/// draws[4·b + i] is number i of block first_block + b.
AE_HOST_DEVICE void draw(const RandomStream& stream, std::uint32_t first_block, std::int64_t blocks,
                         std::uint32_t (&draws)[kDraws]) {
  std::uint32_t words[4][kBlocks];
  make_words(stream, first_block, blocks, words);
#pragma omp simd
  for (std::int64_t b = 0; b < blocks; ++b) {
    draws[4 * b] = words[0][b];
    draws[4 * b + 1] = words[1][b];
    draws[4 * b + 2] = words[2][b];
    draws[4 * b + 3] = words[3][b];
  }
}

AE_HOST_DEVICE void draw(const RandomStream& stream, std::uint32_t first_block, std::int64_t blocks,
                         float (&draws)[kDraws]) {
  std::uint32_t words[4][kBlocks];
  make_words(stream, first_block, blocks, words);
#pragma omp simd
  for (std::int64_t b = 0; b < blocks; ++b) {
    const NormalPair low = normal_pair(words[0][b], words[1][b]);
    const NormalPair high = normal_pair(words[2][b], words[3][b]);
    draws[4 * b] = low.first;
    draws[4 * b + 1] = low.second;
    draws[4 * b + 2] = high.first;
    draws[4 * b + 3] = high.second;
  }
}

/// Calls body(at, size, draws) for stretches of `count` numbers from number `first` on, of words or
/// of normal numbers, as `Draw` says: draws[i] is number first + at + i.
template <typename Draw, typename Body>
AE_HOST_DEVICE void for_draws(const RandomStream& stream, std::int64_t first, std::int64_t count,
                              const Body& body) {
  Draw draws[kDraws];
  for (std::int64_t at = 0; at < count;) {
    const std::int64_t before = (first + at) % 4;  // numbers of the first block that came earlier
    const std::int64_t size = smaller(kDraws - before, count - at);
    draw(stream, static_cast<std::uint32_t>((first + at) / 4), (before + size + 3) / 4, draws);
    body(at, size, draws + before);
    at += size;
  }
}

}  // namespace ae::cpu::AE_ISA
