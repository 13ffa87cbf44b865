#include "oracle.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

namespace ae::test {

namespace {

/// Roundings that one evaluation of e^x, ln(1 + x), sigmoid or tanh may amount to: math_test holds
/// these formulas to 4 ulp and less, and an ulp is at most two roundings.
constexpr double kFunctionRoundings = 8;

double sigmoid(double z) {
  return 1 / (1 + std::exp(-z));
}

/// The standard normal distribution, cumulative and density.
double normal_cdf(double z) {
  return 0.5 * std::erfc(-z / std::sqrt(2.0));
}
double normal_density(double z) {
  return std::exp(-z * z / 2) / std::sqrt(8 * std::atan(1.0));
}

double absolute(const Expected& number) {
  return std::abs(number.value);
}

double bias_at(std::span<const float> bias, std::int64_t index) {
  return bias.empty() ? 0.0 : static_cast<double>(bias[static_cast<std::size_t>(index)]);
}

}  // namespace

void Oracle::Sum::add(const Expected& term) {
  value_ += term.value;
  inherited_ += term.tolerance;
  magnitude_ += absolute(term) + term.tolerance;
  ++terms_;
}

void Oracle::Sum::add_product(double a, double b) {
  add({a * b, precision_.smallest * (1 + std::abs(a) + std::abs(b))});
}

Expected Oracle::Sum::result() const {
  const auto terms = static_cast<double>(terms_);
  return {value_, inherited_ + terms * (precision_.unit * magnitude_ + precision_.smallest)};
}

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
    case Activation::leaky_relu: {
      const double y = std::max(z.value, 0.01 * z.value);
      return {y, z.tolerance + 2 * u * std::abs(y) + precision_.smallest};
    }
    case Activation::elu: {
      const double y = z.value > 0 ? z.value : std::expm1(z.value);
      return {y, z.tolerance + kFunctionRoundings * u * std::abs(y) + precision_.smallest};
    }
    case Activation::gelu: {  // its slope is below 1.13; the tail's exponent, z²/2, is rounded too
      const double y = z.value * normal_cdf(z.value);
      const double roundings = 2 * kFunctionRoundings + z.value * z.value;
      return {y, 1.13 * z.tolerance + roundings * u * std::abs(y) +
                     2 * precision_.smallest * (1 + std::abs(z.value))};
    }
    case Activation::silu: {  // its slope is below 1.1; far below zero its sigmoid stays at e^-87
      const double y = z.value * sigmoid(z.value);
      return {y, 1.1 * z.tolerance + (kFunctionRoundings + 1) * u * std::abs(y) +
                     3 * precision_.smallest * (1 + std::abs(z.value))};
    }
    case Activation::softplus: {  // its slope is at most 1
      const double y = std::max(z.value, 0.0) + std::log1p(std::exp(-std::abs(z.value)));
      return {y, z.tolerance + 2 * kFunctionRoundings * u * y + 2 * precision_.smallest};
    }
  }
  return {};
}

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
    case Activation::leaky_relu: {
      const bool unclear = z.value != 0 && std::abs(z.value) <= z.tolerance;
      return {z.value > 0 ? 1.0 : 0.01, unclear ? 1.0 : u};
    }
    case Activation::elu:  // y + 1 below zero
      return {z.value > 0 ? 1.0 : std::exp(z.value), y.tolerance + u};
    case Activation::gelu: {  // its own slope is below 0.8
      const double cdf = normal_cdf(z.value);
      const double curve = z.value * normal_density(z.value);
      const double roundings = 2 * kFunctionRoundings + z.value * z.value;
      return {cdf + curve, 0.8 * z.tolerance + roundings * u * (cdf + std::abs(curve)) +
                               2 * precision_.smallest * (1 + std::abs(z.value))};
    }
    case Activation::silu: {  // its own slope is at most 1/2; 1 - s cancels until s is 1, near 17
      const double s = sigmoid(z.value);
      const double curve = z.value * s * (1 - s);
      return {s + curve, z.tolerance / 2 + 3 * kFunctionRoundings * u * (s + std::abs(curve)) +
                             kFunctionRoundings * u * std::min(std::abs(z.value), 20.0) * s +
                             3 * precision_.smallest * (1 + std::abs(z.value))};
    }
    case Activation::softplus: {  // 1 - e^-y: at most 1 times y's error
      const double s = sigmoid(z.value);
      return {s, y.tolerance + kFunctionRoundings * u * s + precision_.smallest};
    }
  }
  return {};
}

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
    case Activation::leaky_relu:
      return {y > 0 ? 1.0 : 0.01, y > 0 && y < precision_.smallest ? 1.0 : u};
    case Activation::elu:
      return {y < 0 ? y + 1 : 1.0, u};
    case Activation::softplus:
      return {-std::expm1(-y), kFunctionRoundings * u * -std::expm1(-y) + precision_.smallest};
    case Activation::gelu:
    case Activation::silu:
      break;  // f(z) does not tell
  }
  return {std::nan(""), 0};
}

Expected Oracle::through(Expected gradient, Expected slope) const {
  const double value = gradient.value * slope.value;
  return {value, gradient.tolerance * (absolute(slope) + slope.tolerance) +
                     absolute(gradient) * slope.tolerance + precision_.unit * std::abs(value) +
                     precision_.smallest};
}

std::vector<Expected> Oracle::affine(const HostMatrix& x, const HostMatrix& w,
                                     std::span<const float> bias) const {
  std::vector<Expected> z;
  for (std::int64_t row = 0; row < x.rows; ++row) {
    for (std::int64_t unit = 0; unit < w.cols; ++unit) {
      Sum sum(precision_);
      for (std::int64_t input = 0; input < x.cols; ++input) {
        sum.add_product(x.at(row, input), w.at(input, unit));
      }
      if (!bias.empty()) sum.add({bias_at(bias, unit), precision_.smallest});
      z.push_back(sum.result());
    }
  }
  return z;
}

std::vector<Expected> Oracle::dense_forward(const HostMatrix& x, const HostMatrix& w,
                                            std::span<const float> bias,
                                            Activation activation) const {
  std::vector<Expected> y = affine(x, w, bias);
  for (Expected& value : y) value = activate(activation, value);
  return y;
}

std::vector<Expected> Oracle::slopes(const HostMatrix& x, const HostMatrix& w,
                                     std::span<const float> bias, Activation activation) const {
  std::vector<Expected> result = affine(x, w, bias);
  for (Expected& value : result) value = slope(activation, value);
  return result;
}

Oracle::DenseGradients Oracle::dense_backward(const HostMatrix& x, const HostMatrix& w,
                                              const HostMatrix& dz,
                                              Activation activation_below) const {
  std::vector<Expected> slopes;
  for (const float y : x.values) {
    slopes.push_back(slope_from_output(activation_below, static_cast<double>(y)));
  }
  return dense_backward(x, w, dz, slopes);
}

Oracle::DenseGradients Oracle::dense_backward(const HostMatrix& x, const HostMatrix& w,
                                              const HostMatrix& dz,
                                              std::span<const Expected> slopes) const {
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
      const Expected factor = slopes[static_cast<std::size_t>(row * x.cols + input)];
      const Expected dx = through(gradient, factor);
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

Oracle::LossAndGradient Oracle::squared_error(Expected y, Expected slope, double target) const {
  const double u = precision_.unit;
  const double difference = y.value - target;
  const double off = y.tolerance + u * std::abs(difference) + precision_.smallest;
  const double most = std::abs(difference) + off;
  const double gradient = 2 * difference * slope.value;
  return {{difference * difference, 2 * most * off + u * most * most + precision_.smallest},
          {gradient, 2 * off * (absolute(slope) + slope.tolerance) + 2 * most * slope.tolerance +
                         2 * u * std::abs(gradient) + precision_.smallest}};
}

Oracle::LossAndGradient Oracle::absolute_error(Expected y, Expected slope, double target) const {
  const double difference = y.value - target;
  const double off = y.tolerance + precision_.unit * std::abs(difference) + precision_.smallest;
  const double sign = difference > 0 ? 1 : difference < 0 ? -1 : 0;
  // On which side of the target it is can be unclear.
  const double unclear = std::abs(difference) <= off ? 2 * absolute(slope) : 0;
  return {{std::abs(difference), off}, {sign * slope.value, slope.tolerance + unclear}};
}

Oracle::LossAndGradient Oracle::huber(Expected y, Expected slope, double target) const {
  const double u = precision_.unit;
  const double difference = y.value - target;
  const double size = std::abs(difference);
  const double off = y.tolerance + u * size + precision_.smallest;
  const double bounded = std::min(std::max(difference, -1.0), 1.0);
  const double most = std::min(size + off, 1.0);
  const double loss = size > 1 ? size - 0.5 : size * size / 2;
  const double gradient = bounded * slope.value;
  return {{loss, most * off + off * off + 3 * u * loss + precision_.smallest},
          {gradient, off * (absolute(slope) + slope.tolerance) + most * slope.tolerance +
                         2 * u * std::abs(gradient) + precision_.smallest}};
}

/// -ln of the normal density with mean y and variance 1.
Oracle::LossAndGradient Oracle::gaussian(Expected y, Expected slope, double target) const {
  const double u = precision_.unit;
  const double difference = y.value - target;
  const double off = y.tolerance + u * std::abs(difference) + precision_.smallest;
  const double most = std::abs(difference) + off;
  const double density = std::exp(-difference * difference / 2) / std::sqrt(2 * std::numbers::pi);
  // Where the density vanishes in double, its logarithm is still known.
  const double loss = density > 1e-300
                          ? -std::log(density)
                          : difference * difference / 2 + std::log(2 * std::numbers::pi) / 2;
  const double gradient = difference * slope.value;
  return {{loss, most * off + 3 * u * loss + precision_.smallest},
          {gradient, off * (absolute(slope) + slope.tolerance) + most * slope.tolerance +
                         2 * u * std::abs(gradient) + precision_.smallest}};
}

Oracle::LossAndGradient Oracle::element(Loss loss, Activation activation, Expected z,
                                        double target) const {
  switch (loss) {
    case Loss::bce:
      return cross_entropy(z, target);
    case Loss::mse:
      return squared_error(activate(activation, z), slope(activation, z), target);
    case Loss::mae:
      return absolute_error(activate(activation, z), slope(activation, z), target);
    case Loss::huber:
      return huber(activate(activation, z), slope(activation, z), target);
    case Loss::gaussian:
      return gaussian(activate(activation, z), slope(activation, z), target);
  }
  return {};
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
      const LossAndGradient of_element = element(loss, activation, here, target.at(row, col));
      of_row.add(of_element.loss);
      const double value = scale * of_element.gradient.value;
      const Expected dz{value, std::abs(scale) * of_element.gradient.tolerance +
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

Expected Oracle::decayed_mean(double beta, double mean, Expected fresh) const {
  const double kept = beta * mean;
  const double added = (1 - beta) * fresh.value;
  return {kept + added, 3 * precision_.unit * (std::abs(kept) + std::abs(added)) +
                            (1 - beta) * fresh.tolerance + 4 * precision_.smallest};
}

Expected Oracle::square(Expected x) const {
  const double value = x.value * x.value;
  return {value, 2 * absolute(x) * x.tolerance + x.tolerance * x.tolerance +
                     2 * precision_.unit * value + precision_.smallest};
}

Expected Oracle::over_root(Expected numerator, Expected v, double epsilon) const {
  // The root halves v's relative error, and there are its own rounding, the sum's and the
  // quotient's, and those of a factor that may be in the numerator.
  const double root = std::sqrt(v.value);
  const double divisor = root + epsilon;
  const double value = numerator.value / divisor;
  const double root_off =
      v.value > 0 ? std::min(std::sqrt(v.tolerance), v.tolerance / root) : std::sqrt(v.tolerance);
  return {value, numerator.tolerance / divisor +
                     std::abs(value) * (root_off / divisor + 12 * precision_.unit) +
                     precision_.smallest};
}

Oracle::OptimizerState Oracle::optimizer(const OptimizerOptions& options, std::int64_t t,
                                         std::span<const float> parameters,
                                         std::span<const float> gradients,
                                         std::span<const float> first,
                                         std::span<const float> second,
                                         double gradient_scale) const {
  const double u = precision_.unit;
  const double tiny = precision_.smallest;
  const auto steps = static_cast<double>(t);
  const auto beta1 = static_cast<double>(options.beta1);
  const auto beta2 = static_cast<double>(options.beta2);
  const auto epsilon = static_cast<double>(options.epsilon);
  const auto momentum = static_cast<double>(options.momentum);
  const auto rho = static_cast<double>(options.rho);
  const auto decay = static_cast<double>(options.weight_decay);
  const auto rate = static_cast<double>(options.learning_rate);
  const double correction = std::sqrt(1 - std::pow(beta2, steps)) / (1 - std::pow(beta1, steps));

  OptimizerState state;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto w = static_cast<double>(parameters[i]);
    const double plain = static_cast<double>(gradients[i]) * gradient_scale;
    const double plain_off = gradient_scale == 1 ? 0 : u * std::abs(plain) + tiny;
    const auto a = static_cast<double>(first[i]);
    const auto b = static_cast<double>(second[i]);
    const Expected g{
        plain + decay * w,
        plain_off + (decay == 0
                         ? 0
                         : u * (2 * std::abs(decay * w) + std::abs(plain + decay * w)) + 2 * tiny)};
    Expected kept_first{a, 0};
    Expected kept_second{b, 0};
    double from = w;  // what the change is taken off
    double from_off = 0;
    Expected change;  // with the learning rate in it
    switch (options.kind) {
      case Optimizer::adam:
      case Optimizer::adamw: {
        const bool is_decoupled = options.kind == Optimizer::adamw;
        const Expected gradient = is_decoupled ? Expected{plain, plain_off} : g;
        kept_first = decayed_mean(beta1, a, gradient);
        kept_second = decayed_mean(beta2, b, square(gradient));
        const double factor = rate * correction;
        change = over_root({factor * kept_first.value, factor * kept_first.tolerance}, kept_second,
                           epsilon);
        if (is_decoupled) {
          from -= rate * decay * w;
          from_off = 3 * u * rate * decay * std::abs(w) + u * std::abs(from) + tiny;
        }
        break;
      }
      case Optimizer::sgd:
      case Optimizer::nesterov: {
        const double velocity = momentum * a + g.value;
        kept_first = {velocity,
                      2 * u * (std::abs(momentum * a) + absolute(g)) + g.tolerance + 2 * tiny};
        Expected direction = kept_first;
        if (options.kind == Optimizer::nesterov) {
          direction.value = g.value + momentum * velocity;
          direction.tolerance = g.tolerance + momentum * kept_first.tolerance +
                                2 * u * (absolute(g) + std::abs(momentum * velocity)) + 2 * tiny;
        }
        change = {rate * direction.value,
                  rate * direction.tolerance + 2 * u * rate * absolute(direction) + tiny};
        break;
      }
      case Optimizer::rmsprop:
        kept_first = decayed_mean(rho, a, square(g));
        change = over_root({rate * g.value, rate * g.tolerance}, kept_first, epsilon);
        break;
      case Optimizer::adadelta: {
        kept_first = decayed_mean(rho, a, square(g));
        const double ratio = std::sqrt(b + epsilon) / std::sqrt(kept_first.value + epsilon);
        const double off = kept_first.tolerance / (2 * (kept_first.value + epsilon)) + 12 * u;
        const Expected delta{ratio * g.value,
                             std::abs(ratio * g.value) * off + ratio * g.tolerance + tiny};
        kept_second = decayed_mean(rho, b, square(delta));
        change = {rate * delta.value, rate * delta.tolerance + u * rate * absolute(delta) + tiny};
        break;
      }
    }
    const double moved = from - change.value;
    state.first.push_back(kept_first);
    state.second.push_back(kept_second);
    state.parameters.push_back(
        {moved, from_off + change.tolerance + u * std::abs(moved) + 2 * tiny});
  }
  return state;
}

std::vector<Expected> Oracle::averages(double d, std::span<const float> average,
                                       std::span<const Expected> parameters) const {
  std::vector<Expected> result;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto a = static_cast<double>(average[i]);
    const Expected& w = parameters[i];
    const double value = d * a + (1 - d) * w.value;
    // However it is written, no term is larger than these, and each is rounded three times at most:
    // d or 1 - d, product, sum.
    const double terms = std::abs(a) + absolute(w) + w.tolerance;
    result.push_back({value, (1 - d) * w.tolerance + 3 * precision_.unit * (1 - d) * terms +
                                 precision_.unit * (std::abs(value) + d * std::abs(a)) +
                                 2 * precision_.smallest});
  }
  return result;
}

Expected Oracle::clip_scale(std::span<const float> gradients, double max_norm) const {
  long double squares = 0;
  for (const float g : gradients) squares += static_cast<long double>(g) * g;
  const auto norm = static_cast<double>(std::sqrt(squares));
  const double scale = std::min(1.0, max_norm / (norm + 1e-6));
  // Doubles, and one rounding to float. What is nearly 1 may have become 1.
  const double of_doubles = static_cast<double>(gradients.size() + 4) * 0x1p-53;
  return {scale, scale * (0x1p-24 + of_doubles) + 0x1p-149};
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
