#include "oracle.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace ae::test {

namespace {

/// Roundings that one evaluation of e^x, ln(1 + x), sigmoid or tanh may amount to: math_test holds
/// these formulas to 4 ulp and less, and an ulp is at most two roundings.
constexpr double kFunctionRoundings = 8;

double absolute(const Expected& number) {
  return std::abs(number.value);
}

double bias_at(std::span<const float> bias, std::int64_t index) {
  return bias.empty() ? 0.0 : static_cast<double>(bias[static_cast<std::size_t>(index)]);
}

}  // namespace

/// A sum in any order. Terms may be inexact already.
class Oracle::Sum {
 public:
  explicit Sum(const Precision& precision) : precision_(precision) {}

  void add(const Expected& term) {
    value_ += term.value;
    inherited_ += term.tolerance;
    magnitude_ += absolute(term) + term.tolerance;
    ++terms_;
  }

  /// a·b: it may underflow, and so may a or b on the way to being multiplied.
  void add_product(double a, double b) {
    add({a * b, precision_.smallest * (1 + std::abs(a) + std::abs(b))});
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

Expected Oracle::activate(Activation activation, Expected z) const {
  const double u = precision_.unit;
  switch (activation) {
    case Activation::identity:
      return z;
    case Activation::relu:
      return {std::max(z.value, 0.0), z.tolerance};
    case Activation::sigmoid: {  // its slope is at most 1/4; far below zero it may stay at e^-87
      const double y = 1 / (1 + std::exp(-z.value));
      return {y, z.tolerance / 4 + kFunctionRoundings * u * y + 2 * precision_.smallest};
    }
    case Activation::tanh: {  // its slope is at most 1
      const double y = std::tanh(z.value);
      return {y, z.tolerance + kFunctionRoundings * u * std::abs(y)};
    }
  }
  return {};
}

/// f'(z), for those who compute it from an f(z) that was computed before.
Expected Oracle::slope(Activation activation, Expected z) const {
  const double u = precision_.unit;
  const Expected y = activate(activation, z);
  switch (activation) {
    case Activation::identity:
      return {1, 0};
    case Activation::relu: {
      // Which side of the kink it is on can be unclear, but not for an exact zero.
      const bool unclear = z.value != 0 && std::abs(z.value) <= z.tolerance;
      return {z.value > 0 ? 1.0 : 0.0, unclear ? 1.0 : 0.0};
    }
    case Activation::sigmoid: {  // y·(1 - y): |1 - 2y| ≤ 1 times y's error, and three roundings
      const double s = std::exp(-std::abs(z.value)) / std::pow(1 + std::exp(-std::abs(z.value)), 2);
      return {s, y.tolerance + 3 * u * s};
    }
    case Activation::tanh: {  // 1 - y²: 2|y| ≤ 2 times y's error, and two roundings of 1 or less
      const double s = 1 / std::pow(std::cosh(z.value), 2);
      return {s, 2 * y.tolerance + 2 * u};
    }
  }
  return {};
}

/// f'(z) for the given, exact f(z).
Expected Oracle::slope_from_output(Activation activation, double y) const {
  const double u = precision_.unit;
  switch (activation) {
    case Activation::identity:
      return {1, 0};
    case Activation::relu:
      return {y > 0 ? 1.0 : 0.0, y > 0 && y < precision_.smallest ? 1.0 : 0.0};
    case Activation::sigmoid:
      return {y * (1 - y), 3 * u * y * (1 - y) + precision_.smallest};
    case Activation::tanh:
      return {1 - y * y, 2 * u};
  }
  return {};
}

std::vector<Expected> Oracle::dense_forward(const HostMatrix& x, const HostMatrix& w,
                                            std::span<const float> bias,
                                            Activation activation) const {
  std::vector<Expected> y;
  for (std::int64_t row = 0; row < x.rows; ++row) {
    for (std::int64_t unit = 0; unit < w.cols; ++unit) {
      Sum z(precision_);
      for (std::int64_t input = 0; input < x.cols; ++input) {
        z.add_product(x.at(row, input), w.at(input, unit));
      }
      if (!bias.empty()) z.add({bias_at(bias, unit), precision_.smallest});
      y.push_back(activate(activation, z.result()));
    }
  }
  return y;
}

Oracle::DenseGradients Oracle::dense_backward(const HostMatrix& x, const HostMatrix& w,
                                              const HostMatrix& dz,
                                              Activation activation_below) const {
  DenseGradients gradients;
  for (std::int64_t input = 0; input < w.rows; ++input) {
    for (std::int64_t unit = 0; unit < w.cols; ++unit) {
      Sum dw(precision_);
      for (std::int64_t row = 0; row < x.rows; ++row) {
        dw.add_product(x.at(row, input), dz.at(row, unit));
      }
      gradients.dw.push_back(dw.result());
    }
  }
  std::vector<Sum> dbias(static_cast<std::size_t>(x.cols), Sum(precision_));
  for (std::int64_t row = 0; row < x.rows; ++row) {
    for (std::int64_t input = 0; input < x.cols; ++input) {
      Sum dy(precision_);
      for (std::int64_t unit = 0; unit < w.cols; ++unit) {
        dy.add_product(dz.at(row, unit), w.at(input, unit));
      }
      const Expected gradient = dy.result();
      const Expected factor = slope_from_output(activation_below, x.at(row, input));
      const double value = gradient.value * factor.value;
      const Expected dx{value, gradient.tolerance * (factor.value + factor.tolerance) +
                                   absolute(gradient) * factor.tolerance +
                                   precision_.unit * std::abs(value) + precision_.smallest};
      gradients.dx.push_back(dx);
      dbias[static_cast<std::size_t>(input)].add(dx);
    }
  }
  for (const Sum& sum : dbias) gradients.dbias_below.push_back(sum.result());
  return gradients;
}

Expected Oracle::logit(double z, double bias) const {
  return {z + bias, precision_.unit * std::abs(z + bias) + 3 * precision_.smallest};
}

/// -t·ln p - (1 - t)·ln(1 - p) with p = 1/(1 + e^-z), where ln p = -ln(1 + e^-z) and
/// ln(1 - p) = -ln(1 + e^z). Logits are small enough for double's e^z.
Oracle::LossAndGradient Oracle::cross_entropy(Expected z, double target) const {
  const double u = precision_.unit;
  const double loss =
      target * std::log1p(std::exp(-z.value)) + (1 - target) * std::log1p(std::exp(z.value));
  const Expected p = activate(Activation::sigmoid, z);
  // The loss changes with z by |p - t| ≤ 1. Float gets it from terms of |z|'s size and a logarithm
  // of at most ln 2, with fewer than four roundings of each.
  const double tolerance = z.tolerance + u * (4 * std::abs(z.value) + kFunctionRoundings);
  return {{loss, tolerance + precision_.smallest},
          {p.value - target, p.tolerance + u * std::abs(p.value - target) + precision_.smallest}};
}

Oracle::LossAndGradient Oracle::squared_error(Activation activation, Expected z,
                                              double target) const {
  const double u = precision_.unit;
  const Expected y = activate(activation, z);
  const Expected df = slope(activation, z);
  const double difference = y.value - target;
  const double off = y.tolerance + u * std::abs(difference) + precision_.smallest;
  const double most = std::abs(difference) + off;
  const double gradient = 2 * difference * df.value;
  return {{difference * difference, 2 * most * off + u * most * most + precision_.smallest},
          {gradient, 2 * off * (df.value + df.tolerance) + 2 * most * df.tolerance +
                         2 * u * std::abs(gradient) + precision_.smallest}};
}

Oracle::Losses Oracle::losses(Loss loss, Activation activation, const HostMatrix& z,
                              std::span<const float> bias, const HostMatrix& target,
                              float gradient_scale) const {
  const auto scale = static_cast<double>(gradient_scale);
  Losses result;
  std::vector<Sum> dbias(static_cast<std::size_t>(z.cols), Sum(precision_));
  for (std::int64_t row = 0; row < z.rows; ++row) {
    Sum of_row(precision_);
    for (std::int64_t col = 0; col < z.cols; ++col) {
      const Expected here = logit(z.at(row, col), bias_at(bias, col));
      const double t = target.at(row, col);
      const LossAndGradient element =
          loss == Loss::bce ? cross_entropy(here, t) : squared_error(activation, here, t);
      of_row.add(element.loss);
      const double value = scale * element.gradient.value;
      const Expected dz{value, std::abs(scale) * element.gradient.tolerance +
                                   precision_.unit * std::abs(value) + precision_.smallest};
      result.dz.push_back(dz);
      dbias[static_cast<std::size_t>(col)].add(dz);
    }
    result.rows.push_back(of_row.result());
    // Rows, or parts of them, may be added up in float, but the whole is not: it is a double.
    result.sum.value += result.rows.back().value;
    result.sum.tolerance += result.rows.back().tolerance;
  }
  for (const Sum& sum : dbias) result.dbias.push_back(sum.result());
  return result;
}

Oracle::AdamState Oracle::adam(const AdamOptions& options, std::int64_t t,
                               std::span<const float> parameters, std::span<const float> gradients,
                               std::span<const float> m, std::span<const float> v) const {
  const double u = precision_.unit;
  const double tiny = precision_.smallest;
  const auto beta1 = static_cast<double>(options.beta1);
  const auto beta2 = static_cast<double>(options.beta2);
  const auto epsilon = static_cast<double>(options.epsilon);
  const auto steps = static_cast<double>(t);
  const double rate = static_cast<double>(options.learning_rate) *
                      std::sqrt(1 - std::pow(beta2, steps)) / (1 - std::pow(beta1, steps));
  AdamState state;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto g = static_cast<double>(gradients[i]);
    const double kept = beta1 * static_cast<double>(m[i]);
    const double fresh = (1 - beta1) * g;
    const double squared = beta2 * static_cast<double>(v[i]) + (1 - beta2) * g * g;
    const Expected m_new{kept + fresh, 3 * u * (std::abs(kept) + std::abs(fresh)) + 4 * tiny};
    const Expected v_new{squared, 4 * u * squared + 4 * tiny};

    // In rate·m/(√v + ε) the root halves v's relative error, and there are the roundings of the
    // root, the sum, the product, the quotient and, for devices that have it in float, the rate.
    const double divisor = std::sqrt(v_new.value) + epsilon;
    const double change = rate * m_new.value / divisor;
    const double root_off = std::min(
        std::sqrt(v_new.tolerance),
        v_new.value > 0 ? v_new.tolerance / std::sqrt(v_new.value) : std::sqrt(v_new.tolerance));
    const double change_off =
        rate * m_new.tolerance / divisor + std::abs(change) * (root_off / divisor + 12 * u) + tiny;
    const double moved = static_cast<double>(parameters[i]) - change;
    state.m.push_back(m_new);
    state.v.push_back(v_new);
    state.parameters.push_back({moved, change_off + u * std::abs(moved) + 2 * tiny});
  }
  return state;
}

namespace {

template <typename T>
::testing::AssertionResult all_near(std::span<const T> actual, std::span<const Expected> expected) {
  if (actual.size() != expected.size()) {
    return ::testing::AssertionFailure()
           << actual.size() << " values where " << expected.size() << " are due";
  }
  std::size_t wrong = 0;
  std::size_t worst = 0;
  double worst_ratio = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double off = std::abs(static_cast<double>(actual[i]) - expected[i].value);
    if (off <= expected[i].tolerance) continue;
    ++wrong;
    const double ratio = std::isnan(off) ? HUGE_VAL : off / expected[i].tolerance;
    if (wrong == 1 || ratio > worst_ratio) {
      worst = i;
      worst_ratio = ratio;
    }
  }
  if (wrong == 0) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << wrong << " of " << actual.size() << " values are off, at worst number " << worst << ": "
         << actual[worst] << " where " << expected[worst].value << " is due, within "
         << expected[worst].tolerance;
}

}  // namespace

::testing::AssertionResult near(std::span<const float> actual, std::span<const Expected> expected) {
  return all_near(actual, expected);
}

::testing::AssertionResult near(std::span<const double> actual,
                                std::span<const Expected> expected) {
  return all_near(actual, expected);
}

}  // namespace ae::test
