#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ae/train.hpp"

#include "formulas/philox.hpp"
#include "oracle.hpp"

/// What noise, sparse codes and Gaussian codes must compute, in the manner of oracle.hpp: naive
/// loops in double, from the definitions. Only the random words are the product's own, which
/// philox_test holds against published ones.
namespace ae::test {

/// A batch's place in the random numbers.
struct RandomPlace {
  std::uint64_t seed = 1;
  std::int64_t step = 0;
  std::int64_t first_row = 0;
};

class CodesOracle {
 public:
  explicit CodesOracle(Precision precision = {}) : precision_(precision) {}

  /// See CorruptBatch.
  [[nodiscard]] std::vector<Expected> corrupt(const NoiseOptions& noise, const RandomPlace& place,
                                              const HostMatrix& clean) const;

  /// See KeepLargest; it rounds nothing.
  [[nodiscard]] static std::vector<float> keep_largest(std::int64_t k, const HostMatrix& y);

  struct SparsityGradients {
    std::vector<Expected> dz;
    std::vector<Expected> dbias;
    Expected penalty_sum;
  };
  /// See SparsityBackward, whose f'(z) are `slopes`, of y's shape.
  [[nodiscard]] SparsityGradients sparsity(const SparsityOptions& sparsity, bool kept_largest,
                                           const HostMatrix& y, std::span<const Expected> slopes,
                                           const HostMatrix& dy) const;

  struct Sample {
    std::vector<Expected> z;
    std::vector<Expected> kl;  ///< a row
  };
  /// See GaussianSample; |λ| ≤ 87.
  [[nodiscard]] Sample sample(const HostMatrix& h, const RandomPlace& place, bool mean_only) const;

  struct GaussianGradients {
    std::vector<Expected> dh;
    std::vector<Expected> dbias;
    Expected kl_sum;
  };
  /// See GaussianBackward; what the divergence weighs is `weight`, the warm-up included.
  [[nodiscard]] GaussianGradients gaussian(const HostMatrix& h, const HostMatrix& dz,
                                           const RandomPlace& place, Expected weight,
                                           double free_bits) const;

  /// Normal number `number` of a stream, by the book.
  static double normal(std::uint64_t seed, RandomPurpose purpose, std::int64_t step,
                       std::int64_t number);

  /// Σⱼ KL(ρ ‖ ρ̂ⱼ) and ½·(μ² + e^λ - 1 - λ), for finite differences.
  static double sparsity_divergence(double rho, double mean);
  static double gaussian_divergence(double mu, double lambda);

 private:
  class Sum;

  [[nodiscard]] Expected divergence(double mu, double lambda) const;

  Precision precision_;
};

}  // namespace ae::test
