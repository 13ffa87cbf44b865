#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "formulas/philox.hpp"
#include "oracle.hpp"

/// What dropout and normalisation must compute, in the manner of oracle.hpp: naive loops in double,
/// from the definitions. Only the random words are the product's own, which philox_test holds
/// against published ones.
namespace ae::test {

class NormOracle : public Oracle {
 public:
  using Oracle::Oracle;

  /// Whether value number `number` is dropped, see DropoutMask.
  static bool is_dropped(float rate, std::uint64_t seed, std::int64_t step, std::uint32_t layer,
                         std::int64_t number);

  /// See DropoutForward; also what DropoutBackward makes of dy.
  [[nodiscard]] std::vector<Expected> dropout(float rate, std::uint64_t seed, std::int64_t step,
                                              std::uint32_t layer,
                                              std::span<const float> values) const;

  /// How values lie that are normalised together: x is (groups, channels).
  enum class Over : std::uint8_t { group, channel };

  struct Normalized {
    std::vector<Expected> y;
    std::vector<Expected> mean;      ///< a group or a channel, whichever is normalised over
    std::vector<Expected> variance;  ///< biased
  };
  /// See LayerNormForward and BatchNormForward.
  [[nodiscard]] Normalized normalize(Over over, Activation activation, const HostMatrix& x,
                                     std::span<const float> gamma,
                                     std::span<const float> beta) const;
  /// The same by given statistics, [μ | σ²] of the channels.
  [[nodiscard]] std::vector<Expected> normalize_by(Activation activation, const HostMatrix& x,
                                                   std::span<const float> gamma,
                                                   std::span<const float> beta,
                                                   std::span<const float> running) const;
  /// What running statistics [μ | σ²] of the channels become by a batch.
  [[nodiscard]] std::vector<Expected> run_on(std::span<const float> running,
                                             const Normalized& batch, std::int64_t groups) const;
  /// 1/√(variance + ε).
  [[nodiscard]] Expected inverse_deviation(const Expected& variance) const;

  struct Gradients {
    std::vector<Expected> dz;
    std::vector<Expected> dgamma;
    std::vector<Expected> dbeta;
    std::vector<Expected> dx;
  };
  /// See LayerNormBackward and BatchNormBackward.
  [[nodiscard]] Gradients gradients(Over over, Activation activation, const HostMatrix& x,
                                    std::span<const float> gamma, std::span<const float> beta,
                                    const HostMatrix& dy) const;

 private:
  /// Every operation of the textbook's, with the rounding error of each and what it inherits.
  [[nodiscard]] Expected sum(const Expected& a, const Expected& b) const;
  [[nodiscard]] Expected difference(const Expected& a, const Expected& b) const;
  [[nodiscard]] Expected product(const Expected& a, const Expected& b) const;
  [[nodiscard]] static Expected exact(float value);

  /// The number, among those that are normalised together, of a value.
  [[nodiscard]] static std::size_t together(Over over, std::int64_t group, std::int64_t channel);
  struct Moments {
    std::vector<Expected> mean;
    std::vector<Expected> variance;
  };
  [[nodiscard]] Moments moments(Over over, const HostMatrix& x) const;
  /// Zero of nothing.
  [[nodiscard]] Expected mean(const Sum& sum, std::int64_t count) const;
};

}  // namespace ae::test
