// The scalar formulas of training against the double functions of the standard library, over dense
// sweeps of their ranges. Bounds are in ulp, the distance between neighbouring floats at the exact
// value: 0.5 would be perfect.

#include "formulas/math.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include <gtest/gtest.h>

#include "formulas/activations.hpp"
#include "formulas/losses.hpp"
#include "formulas/normal.hpp"
#include "formulas/optimizers.hpp"
#include "formulas/philox.hpp"
#include "oracle.hpp"

namespace ae {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kDenormal = 1e-40F;

double ulp(double exact) {
  const double normal = std::max(std::abs(exact), 0x1p-126);
  return std::ldexp(1.0, std::ilogb(normal) - 23);
}

struct Worst {
  double ulps = 0;
  float at = 0;
};

/// The largest error of `formula` in [low, high]: on an even grid, and at floats of every exponent,
/// which crowd around zero.
template <typename Formula, typename Exact>
Worst worst_error(float low, float high, const Formula& formula, const Exact& exact) {
  Worst worst;
  const auto judge = [&](float x) {
    if (x < low || x > high) return;
    const double due = exact(static_cast<double>(x));
    const double ulps = std::abs(static_cast<double>(formula(x)) - due) / ulp(due);
    if (!std::isnan(worst.ulps) && !(ulps <= worst.ulps)) worst = {ulps, x};  // NaN is worst of all
  };
  constexpr int kGrid = 300'000;
  for (int i = 0; i <= kGrid; ++i) {
    judge(low + (high - low) * static_cast<float>(i) / static_cast<float>(kGrid));
  }
  constexpr std::uint32_t kStep = 10'007;  // prime: meets all patterns of low bits
  for (std::uint32_t bits = 0; bits < std::bit_cast<std::uint32_t>(kInfinity); bits += kStep) {
    judge(std::bit_cast<float>(bits));
    judge(-std::bit_cast<float>(bits));
  }
  return worst;
}

template <typename Formula, typename Exact>
void expect_within(double ulps, float low, float high, const Formula& formula, const Exact& exact) {
  const Worst worst = worst_error(low, high, formula, exact);
  EXPECT_LE(worst.ulps, ulps) << "at " << worst.at;
}

TEST(Math, ExponentialOfNonPositives) {
  const auto formula = [](float x) { return math::exp_nonpositive(x); };
  expect_within(1.5, -87, 0, formula, [](double x) { return std::exp(x); });
  EXPECT_EQ(formula(0.0F), 1.0F);
  EXPECT_EQ(formula(-0.0F), 1.0F);
  EXPECT_EQ(formula(-kDenormal), 1.0F);
  for (const float x : {-87.0F, -88.0F, -100.0F, -1e30F, -kInfinity}) {
    EXPECT_EQ(formula(x), formula(-87.0F)) << x;
  }
  EXPECT_GE(formula(-87.0F), std::numeric_limits<float>::min());
  EXPECT_TRUE(std::isnan(formula(kNan)));
}

TEST(Math, Exponential) {
  const auto formula = [](float x) { return math::exp(x); };
  expect_within(1.5, -87, 88, formula, [](double x) { return std::exp(x); });
  EXPECT_EQ(formula(0.0F), 1.0F);
  EXPECT_EQ(formula(kDenormal), 1.0F);
  for (const float x : {88.0F, 88.7F, 100.0F, 1e30F, kInfinity}) {
    EXPECT_EQ(formula(x), formula(88.0F)) << x;
    EXPECT_EQ(formula(-x), formula(-87.0F)) << x;
  }
  EXPECT_LT(formula(88.0F), kInfinity);
  EXPECT_TRUE(std::isnan(formula(kNan)));
}

TEST(Math, ExponentialLessOne) {
  const auto formula = [](float x) { return math::expm1(x); };
  expect_within(5.5, -100, 88, formula, [](double x) { return std::expm1(x); });
  EXPECT_EQ(formula(0.0F), 0.0F);
  EXPECT_EQ(formula(kDenormal), kDenormal);
  EXPECT_LT(formula(kInfinity), kInfinity);
  EXPECT_EQ(formula(-kInfinity), -1.0F);
  EXPECT_TRUE(std::isnan(formula(kNan)));
}

TEST(Math, ExponentialAboveItsTangent) {
  const auto formula = [](float x) { return math::exp_above_tangent(x); };
  const auto exact = [](double x) {
    // In double, too, the difference cancels: its series, as far as that sees.
    return std::abs(x) < 1e-2 ? x * x * (1.0 / 2 + x * (1.0 / 6 + x * (1.0 / 24 + x / 120)))
                              : std::expm1(x) - x;
  };
  // Denormals aside, which x² makes of the least of them.
  expect_within(4.0, -1e30F, -1e-18F, formula, exact);
  expect_within(4.0, 1e-18F, 88, formula, exact);
  EXPECT_EQ(formula(0.0F), 0.0F);
  EXPECT_LT(formula(1e30F), kInfinity);
  EXPECT_TRUE(std::isnan(formula(kNan)));
}

TEST(Math, LogarithmUpToOne) {
  const auto formula = [](float x) { return math::log_unit(x); };
  const auto exact = [](double x) { return std::log(x); };
  expect_within(1.25, std::numeric_limits<float>::min(), 1, formula, exact);
  EXPECT_EQ(formula(1.0F), 0.0F);
}

/// Every 24 bits there are, which is all that random numbers make of them.
constexpr std::uint32_t kFractions = 1U << 24U;

TEST(Math, LogarithmOfEveryRandomNumber) {
  double worst = 0;
  for (std::uint32_t i = 1; i < kFractions; ++i) {
    const float x = static_cast<float>(i) * 0x1p-24F;
    const double exact = std::log(static_cast<double>(x));
    worst = std::max(worst, std::abs(static_cast<double>(math::log_unit(x)) / exact - 1));
  }
  EXPECT_LE(worst, 0x1p-22);
}

TEST(Math, SineAndCosineOfEveryRandomAngle) {
  const double turn = 8 * std::atan(1.0);
  double worst = 0;
  double worst_length = 0;
  for (std::uint32_t i = 0; i < kFractions; ++i) {
    const float t = static_cast<float>(i) * 0x1p-24F;
    const double angle = turn * static_cast<double>(t);
    const math::SineCosine formula = math::sincos_turns(t);
    const auto sine = static_cast<double>(formula.sine);
    const auto cosine = static_cast<double>(formula.cosine);
    worst = std::max({worst, std::abs(sine - std::sin(angle)), std::abs(cosine - std::cos(angle))});
    worst_length = std::max(worst_length, std::abs(sine * sine + cosine * cosine - 1));
  }
  EXPECT_LE(worst, 1.2e-7);
  EXPECT_LE(worst_length, 2.4e-7);
  const auto at = [](float t) { return math::sincos_turns(t); };
  EXPECT_EQ(at(0.0F).sine, 0.0F);
  EXPECT_EQ(at(0.0F).cosine, 1.0F);
  EXPECT_EQ(at(0.25F).sine, 1.0F);
  EXPECT_EQ(at(0.25F).cosine, 0.0F);
  EXPECT_EQ(at(0.5F).cosine, -1.0F);
  EXPECT_EQ(at(0.75F).sine, -1.0F);
  // Small ones keep their relative precision.
  EXPECT_NEAR(static_cast<double>(at(0x1p-24F).sine), turn * 0x1p-24, turn * 0x1p-24 * 0x1p-22);
}

TEST(Math, NormalNumbersAreThoseOfTheirWords) {
  const double turn = 8 * std::atan(1.0);
  double worst = 0;
  const auto judge = [&](std::uint32_t radius_word, std::uint32_t angle_word) {
    const double u = (static_cast<double>(radius_word >> 8U) + 1) / kFractions;
    const double v = static_cast<double>(angle_word >> 8U) / kFractions;
    const double radius = std::sqrt(-2 * std::log(u));
    const NormalPair pair = normal_pair(radius_word, angle_word);
    worst =
        std::max({worst, std::abs(static_cast<double>(pair.first) - radius * std::cos(turn * v)),
                  std::abs(static_cast<double>(pair.second) - radius * std::sin(turn * v))});
  };
  const Philox philox(5);
  for (std::uint64_t i = 0; i < 2'000'000; i += 2) {
    judge(philox.word(RandomPurpose::noise, 0, i), philox.word(RandomPurpose::noise, 0, i + 1));
  }
  for (const std::uint32_t radius : {0U, 0xFFU, 0x100U, 0xFFFFFE00U, 0xFFFFFFFFU}) {
    for (const std::uint32_t angle : {0U, 0x3FFFFFFFU, 0x40000000U, 0x80000000U, 0xFFFFFFFFU}) {
      judge(radius, angle);
    }
  }
  EXPECT_LE(worst, 1e-6);
  EXPECT_EQ(normal_pair(0xFFFFFFFFU, 0).first, 0.0F);
}

TEST(Math, LogarithmOfOnePlus) {
  const auto formula = [](float e) { return math::log1p_unit(e); };
  expect_within(3.5, 0, 1, formula, [](double e) { return std::log1p(e); });
  EXPECT_EQ(formula(0.0F), 0.0F);
  EXPECT_TRUE(std::isnan(formula(kNan)));
}

TEST(Math, Sigmoid) {
  const auto formula = [](float z) { return math::sigmoid(z); };
  expect_within(2.5, -87, 100, formula, [](double z) { return 1 / (1 + std::exp(-z)); });
  EXPECT_EQ(formula(0.0F), 0.5F);
  EXPECT_EQ(formula(100.0F), 1.0F);
  EXPECT_EQ(formula(kInfinity), 1.0F);
  for (const float z : {-100.0F, -1e30F, -kInfinity}) {
    EXPECT_GE(formula(z), 0.0F) << z;
    EXPECT_LT(formula(z), 2e-38F) << z;
  }
  EXPECT_TRUE(std::isnan(formula(kNan)));
}

TEST(Math, HyperbolicTangent) {
  const auto formula = [](float z) { return math::tanh(z); };
  const auto exact = [](double z) { return std::tanh(z); };
  expect_within(1.0, -0.2F, 0.2F, formula, exact);
  expect_within(4.0, -50, 50, formula, exact);
  for (const float z : {0.0F, kDenormal, 1e-4F, 0.2F, 0.5F, 3.0F, 100.0F, kInfinity}) {
    EXPECT_EQ(formula(-z), -formula(z)) << z;
    EXPECT_LE(formula(z), 1.0F) << z;
  }
  EXPECT_EQ(formula(kDenormal), kDenormal);
  EXPECT_EQ(formula(100.0F), 1.0F);
  EXPECT_EQ(formula(kInfinity), 1.0F);
  EXPECT_TRUE(std::isnan(formula(kNan)));
}

TEST(Math, PiecewiseLinearOnes) {
  for (const float z : {-1e30F, -1.0F, -kDenormal, -0.0F, 0.0F, kDenormal, 1.0F, 1e30F}) {
    EXPECT_EQ(activations::Relu::value(z), std::max(z, 0.0F)) << z;
    EXPECT_EQ(activations::LeakyRelu::value(z), z < 0 ? 0.01F * z : z) << z;
    EXPECT_EQ(activations::Identity::value(z), z) << z;
  }
}

TEST(Math, ExponentialLinearUnit) {
  const auto formula = [](float z) { return activations::Elu::value(z); };
  expect_within(4.0, -90, 20, formula, [](double z) { return z < 0 ? std::expm1(z) : z; });
  EXPECT_EQ(formula(-kDenormal), -kDenormal);
  EXPECT_EQ(formula(-kInfinity), -1.0F);
}

TEST(Math, Softplus) {
  const auto formula = [](float z) { return activations::Softplus::value(z); };
  expect_within(4.0, -80, 80, formula, [](double z) { return std::log1p(std::exp(z)); });
  EXPECT_EQ(formula(1e30F), 1e30F);
  EXPECT_NEAR(formula(-1e30F), 0, 1e-37);
}

TEST(Math, GaussianErrorLinearUnit) {
  const auto formula = [](float z) { return activations::Gelu::value(z); };
  const auto exact = [](double z) { return z * 0.5 * std::erfc(-z / std::sqrt(2.0)); };
  expect_within(6.0, 0, 20, formula, exact);
  // Below zero the tail's exponent costs a rounding in proportion to z².
  for (double z = -12; z < 0; z += 0.0007) {
    EXPECT_NEAR(static_cast<double>(formula(static_cast<float>(z))),
                exact(static_cast<double>(static_cast<float>(z))),
                6e-7 * (1 + z * z / 4) * std::abs(exact(z)))
        << z;
  }
  EXPECT_EQ(formula(0.0F), 0.0F);
  EXPECT_EQ(formula(1e30F), 1e30F);
}

TEST(Math, SigmoidLinearUnit) {
  const auto formula = [](float z) { return activations::Silu::value(z); };
  expect_within(4.0, -80, 80, formula, [](double z) { return z / (1 + std::exp(-z)); });
  EXPECT_EQ(formula(0.0F), 0.0F);
  EXPECT_EQ(formula(1e30F), 1e30F);
}

/// f(z) in double, from the definition.
double exact_activation(Activation activation, double z) {
  switch (activation) {
    case Activation::identity:
      return z;
    case Activation::relu:
      return std::max(z, 0.0);
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-z));
    case Activation::tanh:
      return std::tanh(z);
    case Activation::leaky_relu:
      return std::max(z, 0.01 * z);
    case Activation::elu:
      return z > 0 ? z : std::expm1(z);
    case Activation::gelu:
      return z * 0.5 * std::erfc(-z / std::sqrt(2.0));
    case Activation::silu:
      return z / (1 + std::exp(-z));
    case Activation::softplus:
      return std::log1p(std::exp(z));
  }
  return 0;
}

TEST(Math, SlopesAreThoseOfTheActivations) {
  // Against a difference quotient of the double function; its own error is of the order of 1e-10.
  constexpr double kStep = 1e-5;
  int seen = 0;
  for (const Activation activation : test::kAllActivations) {
    for_activation(activation, [&]<typename Formula>() {
      ++seen;
      SCOPED_TRACE(Formula::kName);
      for (double z = -20.003; z <= 20; z += 0.01) {  // never at a kink
        const double quotient =
            (exact_activation(activation, z + kStep) - exact_activation(activation, z - kStep)) /
            (2 * kStep);
        const auto input = static_cast<float>(z);
        const float y = Formula::value(input);
        EXPECT_NEAR(static_cast<double>(slope_of(Formula{}, input, y)), quotient, 1e-6) << z;
        EXPECT_NEAR(static_cast<double>(y),
                    exact_activation(activation, static_cast<double>(input)),
                    2e-6 * (1 + std::abs(z)))
            << z;
        // The same, chosen as a kernel runs.
        const activations::Any any{activation};
        EXPECT_EQ(any.value(input), y) << z;
        EXPECT_EQ(slope_of(any, input, y), slope_of(Formula{}, input, y)) << z;
      }
      EXPECT_TRUE(std::isnan(Formula::value(kNan)));
    });
  }
  EXPECT_EQ(seen, 9);
  EXPECT_EQ(activations::Relu::slope(0.0F), 0.0F);
}

constexpr std::array kTargets{0.0F, kDenormal, 1.0F / 255, 0.25F, 0.5F, 254.0F / 255, 1.0F};

TEST(Math, CrossEntropyFollowsItsDefinition) {
  const auto at = [](float z, float t) {
    return losses::BinaryCrossEntropy::at(z, losses::BinaryCrossEntropy::prepare(z), t);
  };
  for (float z = -100; z <= 100; z += 0.0371F) {
    for (const float t : kTargets) {
      const auto logit = static_cast<double>(z);
      const auto target = static_cast<double>(t);
      const double loss =
          target * std::log1p(std::exp(-logit)) + (1 - target) * std::log1p(std::exp(logit));
      // The loss is a difference of terms as large as |z|: so is its rounding.
      const double tolerance = 0x1p-24 * (3 * std::abs(logit) + 8);
      EXPECT_NEAR(static_cast<double>(at(z, t).loss), loss, tolerance) << z << ", " << t;
      EXPECT_NEAR(static_cast<double>(at(z, t).gradient), 1 / (1 + std::exp(-logit)) - target,
                  0x1p-24 * 4)
          << z << ", " << t;
    }
  }
  for (const float t : kTargets) EXPECT_TRUE(std::isnan(at(kNan, t).loss));
  EXPECT_TRUE(std::isnan(at(kNan, 0.5F).gradient));
  EXPECT_TRUE(std::isnan(at(1.0F, kNan).loss));
  EXPECT_TRUE(std::isnan(at(1.0F, kNan).gradient));
  EXPECT_EQ(at(-kInfinity, 0.5F).loss, kInfinity);
}

template <typename Formula>
losses::LossAndGradient at(const Formula& formula, float z, float t) {
  return formula.at(z, formula.prepare(z), t);
}

TEST(Math, ErrorsFollowTheirDefinitions) {
  using activations::Identity;
  using activations::Tanh;
  using losses::OfOutput;
  for (float z = -30; z <= 30; z += 0.0371F) {
    for (const float t : kTargets) {
      const auto logit = static_cast<double>(z);
      const double d = std::tanh(logit) - static_cast<double>(t);
      const double slope = 1 / std::pow(std::cosh(logit), 2);
      // |y| ≤ 1: y is off by 4 ulp, 8 roundings; its square by twice that, and so on.
      const auto expect = [&](const losses::LossAndGradient& here, double loss, double gradient) {
        EXPECT_NEAR(static_cast<double>(here.loss), loss, 0x1p-24 * 40);
        EXPECT_NEAR(static_cast<double>(here.gradient), gradient, 0x1p-24 * 100);
      };
      const double bounded = std::min(std::max(d, -1.0), 1.0);
      expect(at(OfOutput<losses::SquaredError, Tanh>{}, z, t), d * d, 2 * d * slope);
      expect(at(OfOutput<losses::AbsoluteError, Tanh>{}, z, t), std::abs(d),
             (d > 0 ? slope : -slope));
      expect(at(OfOutput<losses::Huber, Tanh>{}, z, t),
             std::abs(d) > 1 ? std::abs(d) - 0.5 : d * d / 2, bounded * slope);
      expect(at(OfOutput<losses::Gaussian, Tanh>{}, z, t),
             d * d / 2 + std::log(8 * std::atan(1.0)) / 2, d * slope);

      const float e = z - t;
      EXPECT_FLOAT_EQ(at(OfOutput<losses::SquaredError, Identity>{}, z, t).loss, e * e);
      EXPECT_FLOAT_EQ(at(OfOutput<losses::SquaredError, Identity>{}, z, t).gradient, 2 * e);
      EXPECT_FLOAT_EQ(at(OfOutput<losses::AbsoluteError, Identity>{}, z, t).loss, std::abs(e));
      EXPECT_FLOAT_EQ(at(OfOutput<losses::Huber, Identity>{}, z, t).gradient,
                      std::min(std::max(e, -1.F), 1.F));
    }
  }
  EXPECT_EQ(at(OfOutput<losses::AbsoluteError, Identity>{}, 0.5F, 0.5F).gradient, 0.0F);
  const auto expect_nan = [](const auto& formula) {
    EXPECT_TRUE(std::isnan(at(formula, kNan, 0.5F).loss));
    EXPECT_TRUE(std::isnan(at(formula, kNan, 0.5F).gradient));
  };
  expect_nan(OfOutput<losses::SquaredError, activations::Sigmoid>{});
  expect_nan(OfOutput<losses::AbsoluteError, activations::Sigmoid>{});
  expect_nan(OfOutput<losses::Huber, activations::Sigmoid>{});
  expect_nan(OfOutput<losses::Gaussian, activations::Sigmoid>{});
  EXPECT_TRUE(std::isnan(at(OfOutput<losses::SquaredError, activations::Relu>{}, kNan, 0.5F).loss));
}

TEST(Math, OptimizersMoveAgainstTheGradient) {
  OptimizerOptions options;
  options.learning_rate = 0.01F;
  optimizers::StepRates rates = optimizers::constant_rates(options);
  rates.adam_rate = 0.01F;
  int seen = 0;
  for (const Optimizer optimizer : test::kAllOptimizers) {
    for_optimizer(optimizer, [&]<typename Rule>() {
      ++seen;
      SCOPED_TRACE(Rule::kName);
      const auto updated = [&](float w, float g) {
        float first = 0;
        float second = 0;
        const float result = Rule::updated(w, g, first, second, rates);
        EXPECT_EQ(first != 0 || std::isnan(first), g != 0);
        if (Rule::kStates < 2) {
          EXPECT_EQ(second, 0);
        }
        return result;
      };
      EXPECT_LT(updated(1, 0.5F), 1);
      EXPECT_GT(updated(1, -0.5F), 1);
      EXPECT_EQ(updated(1, 0), 1);  // nothing has moved yet: ε keeps 0/0 away
      EXPECT_TRUE(std::isnan(updated(kNan, 1)));
      EXPECT_TRUE(std::isnan(updated(1, kNan)));
    });
  }
  EXPECT_EQ(seen, 6);
}

}  // namespace
}  // namespace ae
