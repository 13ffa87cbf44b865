#pragma once

#include <cstdint>

#include "formulas/host_device.hpp"

namespace ae {

/// What random numbers are for. Each purpose has its own stream; the numbers are part of what makes
/// a seed repeatable, so they never change meaning.
enum class RandomPurpose : std::uint32_t {
  weights = 0,
  shuffle = 1,
  synthetic_data = 2,
  noise = 3,
  code = 4,
  dropout = 5
};

/// Philox 4x32-10, a counter-based generator: ten rounds of multiplication and exchange turn a
/// counter into four random words, so that any element's number is had without those before it, on
/// every device alike and after every resume.
/// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
struct Philox {
  struct Words {
    std::uint32_t word[4];
  };

  std::uint32_t key[2];

  AE_HOST_DEVICE explicit constexpr Philox(std::uint64_t seed)
      : key{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32U)} {}

  /// The four words at a 128-bit counter.
  [[nodiscard]] AE_HOST_DEVICE constexpr Words at(std::uint32_t c0, std::uint32_t c1,
                                                  std::uint32_t c2, std::uint32_t c3) const {
    std::uint32_t k0 = key[0];
    std::uint32_t k1 = key[1];
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53U} * c0;
      const std::uint64_t p1 = std::uint64_t{0xCD9E8D57U} * c2;
      const std::uint32_t n0 = static_cast<std::uint32_t>(p1 >> 32U) ^ c1 ^ k0;
      const std::uint32_t n2 = static_cast<std::uint32_t>(p0 >> 32U) ^ c3 ^ k1;
      c1 = static_cast<std::uint32_t>(p1);
      c3 = static_cast<std::uint32_t>(p0);
      c0 = n0;
      c2 = n2;
      k0 += 0x9E3779B9U;
      k1 += 0xBB67AE85U;
    }
    return Words{{c0, c1, c2, c3}};
  }

  /// Word number `element` of the stream (purpose, epoch).
  [[nodiscard]] AE_HOST_DEVICE constexpr std::uint32_t word(RandomPurpose purpose,
                                                            std::uint32_t epoch,
                                                            std::uint64_t element) const {
    const std::uint64_t block = element / 4;
    return at(static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32U), epoch,
              static_cast<std::uint32_t>(purpose))
        .word[element % 4];
  }
};

/// A stream that is numbered by a step of training, which may need 64 bits; an element of a batch
/// needs no more than 34. Where the number fits 32 bits, its words are those of Philox::word().
/// Several users of one purpose, such as layers, have streams of their own by an `instance` < 2^24,
/// which takes the bits above the purpose's.
struct RandomStream {
  Philox philox;
  std::uint32_t purpose;
  std::uint64_t number;

  AE_HOST_DEVICE constexpr RandomStream(std::uint64_t seed, RandomPurpose purpose_,
                                        std::uint64_t number_, std::uint32_t instance = 0)
      : philox(seed),
        purpose(static_cast<std::uint32_t>(purpose_) | instance << 8U),
        number(number_) {}

  /// Words 4·block to 4·block + 3 of the stream.
  [[nodiscard]] AE_HOST_DEVICE constexpr Philox::Words words(std::uint32_t block) const {
    return philox.at(block, static_cast<std::uint32_t>(number >> 32U),
                     static_cast<std::uint32_t>(number), purpose);
  }
};

/// The stream of the step that `step` points to as this runs; null is stream 0.
AE_HOST_DEVICE RandomStream stream_of_step(std::uint64_t seed, RandomPurpose purpose,
                                           const std::int64_t* step, std::uint32_t instance = 0) {
  return {seed, purpose, step == nullptr ? 0 : static_cast<std::uint64_t>(*step), instance};
}

/// 24 random bits as a float in [0, 1).
AE_HOST_DEVICE constexpr float to_unit_float(std::uint32_t word) {
  return static_cast<float>(word >> 8U) * 0x1p-24F;
}

/// A word scaled to [0, bound). Biased by less than bound / 2^32.
AE_HOST_DEVICE constexpr std::uint32_t to_bounded(std::uint32_t word, std::uint32_t bound) {
  return static_cast<std::uint32_t>((std::uint64_t{word} * bound) >> 32U);
}

}  // namespace ae
