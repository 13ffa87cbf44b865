#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "oracle.hpp"
#include "philox.hpp"

/// What dropout and normalisation must compute, in the manner of oracle.hpp: naive loops in double,
/// from the definitions. Only the random words are the product's own, which philox_test holds
/// against published ones.
namespace ae::test {

class NormOracle {
 public:
  explicit NormOracle(Precision precision = {}) : precision_(precision), oracle_(precision) {}

  /// Whether value number `number` is dropped, see DropoutMask.
  static bool is_dropped(float rate, std::uint64_t seed, std::int64_t step, std::uint32_t layer,
                         std::int64_t number);

  /// See DropoutForward; also what DropoutBackward makes of dy.
  [[nodiscard]] std::vector<Expected> dropout(float rate, std::uint64_t seed, std::int64_t step,
                                              std::uint32_t layer,
                                              std::span<const float> values) const;

 private:
  Precision precision_;
  Oracle oracle_;
};

}  // namespace ae::test
