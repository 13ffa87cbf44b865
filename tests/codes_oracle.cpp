#include "codes_oracle.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace ae::test {

namespace {

/// How far normal numbers, made of our own logarithm, sine and cosine, may be from the formula's:
/// math_test holds them to this.
constexpr double kNormalError = 1e-6;
/// Roundings that e^x and its like may amount to; math_test holds them to less than 6 ulp.
constexpr double kFunctionRoundings = 12;

double absolute(const Expected& number) {
  return std::abs(number.value);
}

/// e^x - 1 - x, by its series where double's own difference cancels.
double exp_above_tangent(double x) {
  if (std::abs(x) < 1e-3) return x * x * (1.0 / 2 + x * (1.0 / 6 + x * (1.0 / 24 + x / 120)));
  return std::expm1(x) - x;
}

std::uint32_t word_at(std::uint64_t seed, RandomPurpose purpose, std::int64_t step,
                      std::int64_t number) {
  const auto stream = static_cast<std::uint64_t>(step);
  return Philox(seed)
      .at(static_cast<std::uint32_t>(number / 4), static_cast<std::uint32_t>(stream >> 32U),
          static_cast<std::uint32_t>(stream), static_cast<std::uint32_t>(purpose))
      .word[number % 4];
}

/// The word's upper 24 bits as a fraction.
double fraction(std::uint32_t word) {
  return std::floor(word / 256.0) / 16777216.0;
}

}  // namespace

/// A sum in any order. Terms may be inexact already.
class CodesOracle::Sum {
 public:
  explicit Sum(const Precision& precision) : precision_(precision) {}

  void add(const Expected& term) {
    value_ += term.value;
    inherited_ += term.tolerance;
    magnitude_ += absolute(term) + term.tolerance;
    ++terms_;
  }
  [[nodiscard]] Expected result() const {
    const auto terms = static_cast<double>(terms_);
    return {value_, inherited_ + terms * (precision_.unit * magnitude_ + precision_.smallest)};
  }

 private:
  Precision precision_;
  double value_ = 0;
  double inherited_ = 0;
  double magnitude_ = 0;
  std::int64_t terms_ = 0;
};

double CodesOracle::normal(std::uint64_t seed, RandomPurpose purpose, std::int64_t step,
                           std::int64_t number) {
  const std::int64_t first_of_pair = number - number % 2;
  const double u = fraction(word_at(seed, purpose, step, first_of_pair)) + 1 / 16777216.0;
  const double angle =
      8 * std::atan(1.0) * fraction(word_at(seed, purpose, step, first_of_pair + 1));
  const double radius = std::sqrt(-2 * std::log(u));
  return radius * (number % 2 == 0 ? std::cos(angle) : std::sin(angle));
}

std::vector<Expected> CodesOracle::corrupt(const NoiseOptions& noise, const RandomPlace& place,
                                           const HostMatrix& clean) const {
  const auto amount = static_cast<double>(noise.amount);
  std::vector<Expected> noisy;
  for (std::size_t i = 0; i < clean.values.size(); ++i) {
    const auto x = static_cast<double>(clean.values[i]);
    const std::int64_t number = place.first_row * clean.cols + static_cast<std::int64_t>(i);
    const std::uint32_t word = word_at(place.seed, RandomPurpose::noise, place.step, number);
    const bool is_hit = fraction(word) < amount;
    switch (noise.kind) {
      case Noise::none:
        noisy.push_back({x, 0});
        break;
      case Noise::gaussian: {
        const double added = amount * normal(place.seed, RandomPurpose::noise, place.step, number);
        noisy.push_back({x + added, amount * kNormalError +
                                        precision_.unit * (std::abs(added) + std::abs(x + added)) +
                                        2 * precision_.smallest});
        break;
      }
      case Noise::masking:
        noisy.push_back({is_hit ? 0 : x, 0});
        break;
      case Noise::salt_and_pepper:
        noisy.push_back({is_hit ? word % 2 : x, 0});
        break;
    }
  }
  return noisy;
}

std::vector<float> CodesOracle::keep_largest(std::int64_t k, const HostMatrix& y) {
  std::vector<float> kept(y.values.size(), 0.0F);
  std::vector<std::int64_t> order(static_cast<std::size_t>(y.cols));
  for (std::int64_t row = 0; row < y.rows; ++row) {
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
      if (std::isnan(y.at(row, a)) || std::isnan(y.at(row, b))) {
        return std::isnan(y.at(row, a)) && !std::isnan(y.at(row, b));
      }
      return y.at(row, a) > y.at(row, b);
    });
    for (std::int64_t i = 0; i < std::min(k, y.cols); ++i) {
      const auto at = static_cast<std::size_t>(row * y.cols + order[static_cast<std::size_t>(i)]);
      kept[at] = y.values[at];
    }
  }
  return kept;
}

double CodesOracle::sparsity_divergence(double rho, double mean) {
  return rho * std::log(rho / mean) + (1 - rho) * std::log((1 - rho) / (1 - mean));
}

CodesOracle::SparsityGradients CodesOracle::sparsity(const SparsityOptions& sparsity,
                                                     bool kept_largest, const HostMatrix& y,
                                                     std::span<const Expected> slopes,
                                                     const HostMatrix& dy) const {
  const double u = precision_.unit;
  const auto l1 = static_cast<double>(sparsity.l1);
  const auto kl = static_cast<double>(sparsity.kl);
  const auto rho = static_cast<double>(sparsity.rho);
  const auto rows = static_cast<double>(y.rows);
  SparsityGradients result;
  result.dz.resize(y.values.size());
  Sum of_columns(precision_);
  Sum of_values(precision_);
  for (std::int64_t col = 0; col < y.cols; ++col) {
    Sum activations(precision_);
    for (std::int64_t row = 0; row < y.rows; ++row) activations.add({y.at(row, col), 0});
    Expected of_mean{0, 0};
    if (kl > 0 && y.rows > 0) {
      const Expected total = activations.result();
      const double mean = std::min(std::max(total.value / rows, 1e-6), 1 - 1e-6);
      // Near one it is as coarse as floats are there.
      const double off = total.tolerance / rows + 2 * u * mean;
      const double curvature = (1 - rho) / std::pow(1 - mean, 2) + rho / std::pow(mean, 2);
      const double upper = (1 - rho) / (1 - mean);
      const double lower = rho / mean;
      of_mean = {kl / rows * (upper - lower),
                 kl / rows * (curvature * off + 8 * u * (upper + lower))};
      const double sizes = rho * (std::abs(std::log(rho)) + std::abs(std::log(mean))) +
                           (1 - rho) * (std::abs(std::log(1 - rho)) + std::abs(std::log(1 - mean)));
      of_columns.add({rows * kl * sparsity_divergence(rho, mean),
                      rows * kl * (std::abs(upper - lower) * off + u * (8 * sizes + 4))});
    }
    Sum dbias(precision_);
    for (std::int64_t row = 0; row < y.rows; ++row) {
      const double value = y.at(row, col);
      const Expected& slope = slopes[static_cast<std::size_t>(row * y.cols + col)];
      const double sign = value > 0 ? 1 : value < 0 ? -1 : 0;
      const double terms = std::abs(dy.at(row, col)) + l1 / rows + absolute(of_mean);
      const double gradient = dy.at(row, col) + l1 / rows * sign + of_mean.value;
      const bool is_unclear = value != 0 && std::abs(value) < precision_.smallest;
      const double off = of_mean.tolerance + 4 * u * terms + (is_unclear ? 2 * terms : 0) +
                         2 * precision_.smallest;
      Expected dz{gradient * slope.value,
                  off * (absolute(slope) + slope.tolerance) + std::abs(gradient) * slope.tolerance +
                      u * std::abs(gradient * slope.value) + precision_.smallest};
      if (kept_largest && value == 0) dz = {0, 0};
      result.dz[static_cast<std::size_t>(row * y.cols + col)] = dz;
      dbias.add(dz);
      of_values.add({l1 * std::abs(value), u * l1 * std::abs(value)});
    }
    result.dbias.push_back(dbias.result());
  }
  result.penalty_sum = {of_values.result().value + of_columns.result().value,
                        of_values.result().tolerance + of_columns.result().tolerance};
  return result;
}

double CodesOracle::gaussian_divergence(double mu, double lambda) {
  return (mu * mu + exp_above_tangent(lambda)) / 2;
}

Expected CodesOracle::divergence(double mu, double lambda) const {
  const double value = gaussian_divergence(mu, lambda);
  return {value, kFunctionRoundings * precision_.unit * value + 2 * precision_.smallest};
}

CodesOracle::Sample CodesOracle::sample(const HostMatrix& h, const RandomPlace& place,
                                        bool mean_only) const {
  const std::int64_t latent = h.cols / 2;
  Sample result;
  for (std::int64_t row = 0; row < h.rows; ++row) {
    Sum kl(precision_);
    for (std::int64_t col = 0; col < latent; ++col) {
      const double mu = h.at(row, col);
      const double lambda = h.at(row, latent + col);
      kl.add(divergence(mu, lambda));
      if (mean_only) {
        result.z.push_back({mu, 0});
        continue;
      }
      const double deviation = std::exp(lambda / 2);
      const double epsilon = normal(place.seed, RandomPurpose::code, place.step,
                                    (place.first_row + row) * latent + col);
      const double z = mu + deviation * epsilon;
      result.z.push_back({z, deviation * (kNormalError + (kFunctionRoundings + 1) *
                                                             precision_.unit * std::abs(epsilon)) +
                                 precision_.unit * std::abs(z) + 2 * precision_.smallest});
    }
    result.kl.push_back(kl.result());
  }
  return result;
}

CodesOracle::GaussianGradients CodesOracle::gaussian(const HostMatrix& h, const HostMatrix& dz,
                                                     const RandomPlace& place, Expected weight,
                                                     double free_bits) const {
  const double u = precision_.unit;
  const std::int64_t latent = dz.cols;
  GaussianGradients result;
  result.dh.resize(h.values.size());
  result.dbias.resize(static_cast<std::size_t>(h.cols));
  for (std::int64_t col = 0; col < latent; ++col) {
    Sum divergences(precision_);
    for (std::int64_t row = 0; row < h.rows; ++row) {
      divergences.add(divergence(h.at(row, col), h.at(row, latent + col)));
    }
    const Expected total = divergences.result();
    result.kl_sum.value += total.value;
    // The whole may be summed in another order: by rows, or all of it together.
    result.kl_sum.tolerance += total.tolerance + u * static_cast<double>(latent) * total.value;
    Expected here = weight;
    if (free_bits > 0 && h.rows > 0) {
      const double allowed = free_bits * static_cast<double>(h.rows);
      if (total.value < allowed) here = {0, 0};
      if (std::abs(total.value - allowed) <= total.tolerance + 2 * u * allowed) {
        here.tolerance = absolute(weight);
      }
    }
    Sum mean_bias(precision_);
    Sum variance_bias(precision_);
    for (std::int64_t row = 0; row < h.rows; ++row) {
      const double mu = h.at(row, col);
      const double lambda = h.at(row, latent + col);
      const double above = dz.at(row, col);
      const double epsilon = normal(place.seed, RandomPurpose::code, place.step,
                                    (place.first_row + row) * latent + col);
      const double pulled = here.value * mu;
      const Expected mean{above + pulled, here.tolerance * std::abs(mu) + u * std::abs(pulled) +
                                              u * std::abs(above + pulled) +
                                              2 * precision_.smallest};
      const double half_deviation = std::exp(lambda / 2) / 2;
      const double half_growth = std::expm1(lambda) / 2;
      const double through = above * epsilon * half_deviation;
      const double grown = here.value * half_growth;
      const Expected variance{
          through + grown,
          std::abs(above) * half_deviation *
                  (kNormalError + (kFunctionRoundings + 3) * u * std::abs(epsilon)) +
              here.tolerance * std::abs(half_growth) +
              (kFunctionRoundings + 2) * u * std::abs(grown) + u * std::abs(through + grown) +
              4 * precision_.smallest * (1 + std::abs(above) + std::abs(epsilon))};
      result.dh[static_cast<std::size_t>(row * h.cols + col)] = mean;
      result.dh[static_cast<std::size_t>(row * h.cols + latent + col)] = variance;
      mean_bias.add(mean);
      variance_bias.add(variance);
    }
    result.dbias[static_cast<std::size_t>(col)] = mean_bias.result();
    result.dbias[static_cast<std::size_t>(latent + col)] = variance_bias.result();
  }
  return result;
}

}  // namespace ae::test
