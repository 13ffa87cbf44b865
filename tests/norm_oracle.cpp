#include "norm_oracle.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace ae::test {

namespace {

constexpr double kEpsilon = 1e-5;
constexpr double kMomentum = 0.1;

double absolute(const Expected& number) {
  return std::abs(number.value);
}

}  // namespace

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
    result.push_back({value, 3 * precision().unit * std::abs(value) + precision().smallest});
  }
  return result;
}

// ── Normalisation ───────────────────────────────────────────────────────────────────────────────

Expected NormOracle::exact(float value) {
  return {static_cast<double>(value), 0};
}

Expected NormOracle::sum(const Expected& a, const Expected& b) const {
  const double value = a.value + b.value;
  return {value, a.tolerance + b.tolerance + precision().unit * std::abs(value) +
                     2 * precision().smallest};
}

Expected NormOracle::difference(const Expected& a, const Expected& b) const {
  return sum(a, {-b.value, b.tolerance});
}

Expected NormOracle::product(const Expected& a, const Expected& b) const {
  const double value = a.value * b.value;
  return {value, absolute(a) * b.tolerance + absolute(b) * a.tolerance + a.tolerance * b.tolerance +
                     precision().unit * std::abs(value) +
                     precision().smallest * (1 + absolute(a) + absolute(b))};
}

std::size_t NormOracle::together(Over over, std::int64_t group, std::int64_t channel) {
  return static_cast<std::size_t>(over == Over::group ? group : channel);
}

Expected NormOracle::inverse_deviation(const Expected& variance) const {
  const double value = 1 / std::sqrt(variance.value + kEpsilon);
  // d(v^-½) = -½·v^-½·dv/v; the variance may be off by as much as there is of it.
  const double least = std::max(variance.value - variance.tolerance, 0.0) + kEpsilon;
  return {value,
          0.5 * variance.tolerance / (least * std::sqrt(least)) + 4 * precision().unit * value};
}

Expected NormOracle::mean(const Sum& sum, std::int64_t count) const {
  if (count == 0) return {0, 0};
  const auto terms = static_cast<double>(count);
  const Expected total = sum.result();
  const double value = total.value / terms;
  return {value,
          total.tolerance / terms + 2 * precision().unit * std::abs(value) + precision().smallest};
}

NormOracle::Moments NormOracle::moments(Over over, const HostMatrix& x) const {
  const auto size = static_cast<std::size_t>(over == Over::group ? x.rows : x.cols);
  const std::int64_t count = over == Over::group ? x.cols : x.rows;
  std::vector<Sum> sums(size, Sum(precision()));
  std::vector<Sum> squares(size, Sum(precision()));
  for (std::int64_t group = 0; group < x.rows; ++group) {
    for (std::int64_t c = 0; c < x.cols; ++c) {
      sums[together(over, group, c)].add({x.at(group, c), 0});
    }
  }
  Moments result;
  for (const Sum& of_values : sums) result.mean.push_back(mean(of_values, count));
  for (std::int64_t group = 0; group < x.rows; ++group) {
    for (std::int64_t c = 0; c < x.cols; ++c) {
      const std::size_t at = together(over, group, c);
      const double off = x.at(group, c) - result.mean[at].value;
      squares[at].add({off * off, 4 * precision().unit * off * off});
    }
  }
  for (std::size_t at = 0; at < size; ++at) {
    Expected variance = mean(squares[at], count);
    // Squares around parts' means, which are as inexact as the whole's, and the distances of these:
    // Σ n·(m + e - μ)² is off by no more than 2·e·Σ n·|m - μ| + N·e².
    const double off = result.mean[at].tolerance;
    variance.tolerance += 2 * off * std::sqrt(variance.value) + 2 * off * off;
    result.variance.push_back(variance);
  }
  return result;
}

NormOracle::Normalized NormOracle::normalize(Over over, Activation activation, const HostMatrix& x,
                                             std::span<const float> gamma,
                                             std::span<const float> beta) const {
  const Moments moments = this->moments(over, x);
  Normalized result{{}, moments.mean, moments.variance};
  for (std::int64_t group = 0; group < x.rows; ++group) {
    for (std::int64_t c = 0; c < x.cols; ++c) {
      const std::size_t at = together(over, group, c);
      const auto channel = static_cast<std::size_t>(c);
      const Expected normalized = product(difference({x.at(group, c), 0}, moments.mean[at]),
                                          inverse_deviation(moments.variance[at]));
      const Expected z = sum(product(exact(gamma[channel]), normalized), exact(beta[channel]));
      result.y.push_back(activate(activation, z));
    }
  }
  return result;
}

std::vector<Expected> NormOracle::normalize_by(Activation activation, const HostMatrix& x,
                                               std::span<const float> gamma,
                                               std::span<const float> beta,
                                               std::span<const float> running) const {
  const auto channels = static_cast<std::size_t>(x.cols);
  std::vector<Expected> y;
  for (std::size_t i = 0; i < x.values.size(); ++i) {
    const std::size_t c = i % channels;
    const Expected normalized = product(difference(exact(x.values[i]), exact(running[c])),
                                        inverse_deviation(exact(running[channels + c])));
    y.push_back(activate(activation, sum(product(exact(gamma[c]), normalized), exact(beta[c]))));
  }
  return y;
}

std::vector<Expected> NormOracle::run_on(std::span<const float> running, const Normalized& batch,
                                         std::int64_t groups) const {
  const auto count = static_cast<double>(groups);
  const double correction = groups > 1 ? count / (count - 1) : 1;
  std::vector<Expected> result;
  for (std::size_t i = 0; i < running.size(); ++i) {
    const std::size_t channels = batch.mean.size();
    const bool is_mean = i < channels;
    const Expected& now = is_mean ? batch.mean[i] : batch.variance[i - channels];
    const double scale = is_mean ? 1 : correction;
    const Expected before = exact(running[i]);
    if (groups == 0) {
      result.push_back(before);
      continue;
    }
    const double value = before.value + kMomentum * (scale * now.value - before.value);
    const double magnitude = absolute(before) + scale * absolute(now);
    result.push_back({value, kMomentum * scale * now.tolerance + 4 * precision().unit * magnitude +
                                 2 * precision().smallest});
  }
  return result;
}

NormOracle::Gradients NormOracle::gradients(Over over, Activation activation, const HostMatrix& x,
                                            std::span<const float> gamma,
                                            std::span<const float> beta,
                                            const HostMatrix& dy) const {
  const Moments moments = this->moments(over, x);
  const std::int64_t count = over == Over::group ? x.cols : x.rows;
  std::vector<Expected> normalized;
  Gradients result;
  std::vector<Sum> dgamma(static_cast<std::size_t>(x.cols), Sum(precision()));
  std::vector<Sum> dbeta = dgamma;
  std::vector<Sum> g_sums(moments.mean.size(), Sum(precision()));
  std::vector<Sum> product_sums = g_sums;
  for (std::int64_t group = 0; group < x.rows; ++group) {
    for (std::int64_t c = 0; c < x.cols; ++c) {
      const std::size_t at = together(over, group, c);
      const auto channel = static_cast<std::size_t>(c);
      const Expected scaled = product(difference({x.at(group, c), 0}, moments.mean[at]),
                                      inverse_deviation(moments.variance[at]));
      const Expected z = sum(product(exact(gamma[channel]), scaled), exact(beta[channel]));
      const Expected dz = product({dy.at(group, c), 0}, slope(activation, z));
      const Expected g = product(exact(gamma[channel]), dz);
      normalized.push_back(scaled);
      result.dz.push_back(dz);
      dgamma[channel].add(product(dz, scaled));
      dbeta[channel].add(dz);
      g_sums[at].add(g);
      product_sums[at].add(product(g, scaled));
    }
  }
  for (std::size_t c = 0; c < dgamma.size(); ++c) {
    result.dgamma.push_back(dgamma[c].result());
    result.dbeta.push_back(dbeta[c].result());
  }
  for (std::int64_t group = 0; group < x.rows; ++group) {
    for (std::int64_t c = 0; c < x.cols; ++c) {
      const std::size_t at = together(over, group, c);
      const auto i = static_cast<std::size_t>(group * x.cols + c);
      const Expected g = product(exact(gamma[static_cast<std::size_t>(c)]), result.dz[i]);
      const Expected centred = difference(g, mean(g_sums[at], count));
      const Expected pulled = product(normalized[i], mean(product_sums[at], count));
      Expected dx = product(difference(centred, pulled), inverse_deviation(moments.variance[at]));
      // γ is taken out of the means of a channel, or not: a rounding or two more.
      dx.tolerance += 4 * precision().unit * (absolute(g) + absolute(pulled)) *
                      inverse_deviation(moments.variance[at]).value;
      result.dx.push_back(dx);
    }
  }
  return result;
}

}  // namespace ae::test
