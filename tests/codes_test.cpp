// Noise, sparse codes and Gaussian codes on every device against the oracle, their gradients
// against finite differences, and what is random against what chance allows.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "codes_oracle.hpp"
#include "device/cpu/cpu_device.hpp"
#include "device/device.hpp"
#include "executors/compare_device.hpp"
#include "executors/timing_device.hpp"
#include "guarded.hpp"
#include "numbers.hpp"
#include "oracle.hpp"
#include "targets.hpp"

namespace ae {
namespace {

using test::CodesOracle;
using test::Expected;
using test::Floats;
using test::Guarded;
using test::HostMatrix;
using test::near;
using test::Numbers;
using test::Oracle;
using test::RandomPlace;
using test::run_one_by_one;
using test::same_bits;
using test::Target;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kDenormal = 1e-40F;
constexpr double kBefore = 1000;  // what is in a sum already

constexpr std::array kNoises{Noise::gaussian, Noise::masking, Noise::salt_and_pepper};

struct Shape {
  std::int64_t rows;
  std::int64_t cols;
};

std::string describe(const Shape& shape) {
  return std::to_string(shape.rows) + "x" + std::to_string(shape.cols);
}

/// Around panels of 32 rows, stretches of 128 columns and 256 numbers, and blocks of four.
constexpr std::array kShapes{Shape{0, 0},    Shape{0, 5},    Shape{5, 0},    Shape{1, 1},
                             Shape{1, 3},    Shape{3, 2},    Shape{31, 33},  Shape{32, 4},
                             Shape{33, 1},   Shape{65, 32},  Shape{7, 129},  Shape{2, 257},
                             Shape{100, 10}, Shape{257, 36}, Shape{34, 130}, Shape{3, 784}};

class CodesTest : public ::testing::TestWithParam<Target> {
 protected:
  std::unique_ptr<Device> device_ = GetParam().make();
  Oracle oracle_{GetParam().precision};
  CodesOracle codes_{GetParam().precision};
};

INSTANTIATE_TEST_SUITE_P(Targets, CodesTest, ::testing::ValuesIn(test::targets()), test::test_name);

Expected on_top(const Expected& sum, double times = 1) {
  return {kBefore + times * sum.value, times * sum.tolerance + 1e-14 * (kBefore + sum.value)};
}

// ── Noise ───────────────────────────────────────────────────────────────────────────────────────

/// What comes of a batch, in place and beside it, which must be the same bits.
std::vector<float> corrupted(Device& device, const NoiseOptions& noise, const RandomPlace& place,
                             const HostMatrix& clean) {
  const Guarded<std::int64_t> step(device, std::span(&place.step, 1));
  const Floats device_clean(device, clean);
  const Floats noisy(device, clean.rows * clean.cols);
  const Floats in_place(device, clean);
  CorruptBatch op{.noise = noise,
                  .seed = place.seed,
                  .step = step.tensor(),
                  .first_row = place.first_row,
                  .clean = device_clean.matrix(clean.rows, clean.cols),
                  .noisy = noisy.matrix(clean.rows, clean.cols)};
  device.run(op);
  op.clean = in_place.matrix(clean.rows, clean.cols);
  op.noisy = in_place.matrix(clean.rows, clean.cols);
  device.run(op);
  EXPECT_TRUE(device_clean.is_untouched());
  EXPECT_TRUE(step.is_untouched());
  EXPECT_TRUE(same_bits<float>(noisy.read(), in_place.read()));
  return noisy.read();
}

TEST_P(CodesTest, NoiseIsRightAtEverySize) {
  Numbers numbers(1);
  for (const Shape& shape : kShapes) {
    const HostMatrix clean = numbers.sparse_matrix(shape.rows, shape.cols, 0.5F);
    for (const Noise kind :
         {Noise::none, Noise::gaussian, Noise::masking, Noise::salt_and_pepper}) {
      for (const RandomPlace& place :
           {RandomPlace{1, 0, 0}, RandomPlace{0x12345678'9abcdef0, 5'000'000'000'000, 3}}) {
        SCOPED_TRACE(describe(shape) + " kind " + std::to_string(static_cast<int>(kind)) +
                     " step " + std::to_string(place.step));
        const NoiseOptions noise{kind, 0.4F};
        EXPECT_TRUE(
            near(corrupted(*device_, noise, place, clean), codes_.corrupt(noise, place, clean)));
      }
    }
  }
}

TEST_P(CodesTest, NoiseOfAnyAmount) {
  HostMatrix clean = Numbers(2).matrix(8, 50);
  clean.values[0] = kDenormal;
  clean.values[1] = -0.0F;
  clean.values[2] = 1e30F;
  for (const Noise kind : kNoises) {
    for (const float amount : {0.0F, 0x1p-24F, 0.5F, 1.0F}) {
      SCOPED_TRACE(std::to_string(static_cast<int>(kind)) + " " + std::to_string(amount));
      const NoiseOptions noise{kind, amount};
      const std::vector<float> noisy = corrupted(*device_, noise, {}, clean);
      EXPECT_TRUE(near(noisy, codes_.corrupt(noise, {}, clean)));
      if (amount == 1 && kind == Noise::masking) {
        EXPECT_EQ(std::count(noisy.begin(), noisy.end(), 0.0F), 400);
      }
    }
  }
}

TEST_P(CodesTest, NoiseHidesNaNOnlyWhereItTakesItsPlace) {
  const HostMatrix clean{4, 64, std::vector<float>(256, kNan)};
  for (const Noise kind : kNoises) {
    const std::vector<float> noisy = corrupted(*device_, {kind, 0.5F}, {}, clean);
    const std::vector<Expected> expected = codes_.corrupt({kind, 0.5F}, {}, clean);
    for (std::size_t i = 0; i < noisy.size(); ++i) {
      EXPECT_EQ(std::isnan(noisy[i]), std::isnan(expected[i].value)) << i;
    }
  }
}

TEST_P(CodesTest, ANullStepIsStreamZeroAndRowsAreNumberedThrough) {
  const HostMatrix clean = Numbers(3).matrix(41, 13);
  for (const Noise kind : kNoises) {
    const NoiseOptions noise{kind, 0.3F};
    const Floats device_clean(*device_, clean);
    const Floats noisy(*device_, 41 * 13);
    for (const Shape part : {Shape{0, 17}, Shape{17, 24}}) {
      device_->run(
          CorruptBatch{.noise = noise,
                       .seed = 1,
                       .first_row = part.rows,
                       .clean = ConstMatrix(device_clean.data() + part.rows * 13, part.cols, 13),
                       .noisy = {noisy.data() + part.rows * 13, part.cols, 13}});
    }
    EXPECT_TRUE(near(noisy.read(), codes_.corrupt(noise, {}, clean)));
  }
}

struct Moments {
  double mean = 0;
  double square = 0;
  double fourth = 0;
};

Moments moments_of(const std::vector<float>& values) {
  Moments moments;
  for (const float value : values) {
    const auto x = static_cast<double>(value);
    moments.mean += x;
    moments.square += x * x;
    moments.fourth += x * x * x * x;
  }
  const auto count = static_cast<double>(values.size());
  return {moments.mean / count, moments.square / count, moments.fourth / count};
}

/// Five standard errors.
double bound(double variance, std::size_t count) {
  return 5 * std::sqrt(variance / static_cast<double>(count));
}

TEST_P(CodesTest, NormalNumbersAreDistributedAsTheyMust) {
  const std::int64_t cols = GetParam().affordable(1000, 100);
  const HostMatrix zeros{1000, cols, std::vector<float>(static_cast<std::size_t>(1000 * cols))};
  const auto drawn = [&](std::uint64_t seed, std::int64_t step) {
    return corrupted(*device_, {Noise::gaussian, 1}, {seed, step, 0}, zeros);
  };
  const std::vector<float> first = drawn(1, 0);
  const Moments moments = moments_of(first);
  // Of the powers of a normal number: variances 1, 3 - 1² and 105 - 3².
  EXPECT_NEAR(moments.mean, 0, bound(1, first.size()));
  EXPECT_NEAR(moments.square, 1, bound(2, first.size()));
  EXPECT_NEAR(moments.fourth, 3, bound(96, first.size()));
  EXPECT_LT(*std::max_element(first.begin(), first.end()), 5.8F);

  // Neighbours, other steps and other seeds are independent: so many products average to 0.
  const auto expect_independent = [&](const std::vector<float>& a, const std::vector<float>& b,
                                      std::size_t shift) {
    double product = 0;
    double squares = 0;
    std::size_t equal = 0;
    for (std::size_t i = 0; i + shift < a.size(); ++i) {
      const auto x = static_cast<double>(a[i]);
      const auto y = static_cast<double>(b[i + shift]);
      product += x * y;
      squares += (x * x - 1) * (y * y - 1);
      equal += a[i] == b[i + shift] ? 1U : 0U;
    }
    const auto count = static_cast<double>(a.size());
    EXPECT_NEAR(product / count, 0, bound(1, a.size()));
    EXPECT_NEAR(squares / count, 0, bound(4, a.size()));
    EXPECT_LT(equal, 10U);
  };
  for (const std::size_t shift : {1U, 2U, 3U, 4U}) expect_independent(first, first, shift);
  for (const RandomPlace& place : {RandomPlace{1, 1}, RandomPlace{1, std::int64_t{1} << 32U},
                                   RandomPlace{2, 0}, RandomPlace{std::uint64_t{1} << 32U, 0}}) {
    expect_independent(first, drawn(place.seed, place.step), 0);
  }
}

TEST_P(CodesTest, AsManyValuesAreHitAsTheAmountSays) {
  const std::int64_t cols = GetParam().affordable(1000, 100);
  const HostMatrix halves{1000, cols,
                          std::vector<float>(static_cast<std::size_t>(1000 * cols), 0.5F)};
  const std::size_t size = halves.values.size();
  const auto fraction = [&](const std::vector<float>& values, float value) {
    return static_cast<double>(std::count(values.begin(), values.end(), value)) /
           static_cast<double>(values.size());
  };
  for (const float amount : {0.1F, 0.5F, 0.75F}) {
    const auto p = static_cast<double>(amount);
    const std::vector<float> masked = corrupted(*device_, {Noise::masking, amount}, {}, halves);
    EXPECT_NEAR(fraction(masked, 0.0F), p, bound(p * (1 - p), size));
    const std::vector<float> salted =
        corrupted(*device_, {Noise::salt_and_pepper, amount}, {}, halves);
    EXPECT_NEAR(fraction(salted, 0.0F), p / 2, bound(p / 2 * (1 - p / 2), size));
    EXPECT_NEAR(fraction(salted, 1.0F), p / 2, bound(p / 2 * (1 - p / 2), size));
    // Another step hits others: both hit p² of the values.
    const std::vector<float> next = corrupted(*device_, {Noise::masking, amount}, {1, 1}, halves);
    std::size_t both = 0;
    for (std::size_t i = 0; i < size; ++i) both += masked[i] == 0 && next[i] == 0 ? 1U : 0U;
    EXPECT_NEAR(static_cast<double>(both) / static_cast<double>(size), p * p,
                bound(p * p * (1 - p * p), size));
  }
}

// ── The largest values ──────────────────────────────────────────────────────────────────────────

void check_keep_largest(Device& device, std::int64_t k, const HostMatrix& y) {
  SCOPED_TRACE(std::to_string(k) + " of " + describe({y.rows, y.cols}));
  const Floats device_y(device, y);
  device.run(KeepLargest{.k = k, .y = device_y.matrix(y.rows, y.cols)});
  EXPECT_TRUE(same_bits<float>(device_y.read(), CodesOracle::keep_largest(k, y)));
}

TEST_P(CodesTest, TheLargestStayAtEverySize) {
  Numbers numbers(4);
  for (const Shape& shape : kShapes) {
    const HostMatrix y = numbers.matrix(shape.rows, shape.cols);
    for (const std::int64_t k : {std::int64_t{0}, std::int64_t{1}, std::int64_t{2}, shape.cols / 2,
                                 shape.cols - 1, shape.cols, shape.cols + 1}) {
      if (k >= 0) check_keep_largest(*device_, k, y);
    }
  }
  check_keep_largest(*device_, 100, numbers.matrix(3, 4099));
}

TEST_P(CodesTest, OfEqualOnesTheFirstStay) {
  Numbers numbers(5);
  for (const Shape& shape : kShapes) {
    if (shape.rows > GetParam().affordable(1000, 40)) continue;
    HostMatrix y = numbers.matrix(shape.rows, shape.cols, -3, 3);
    for (float& value : y.values) value = std::floor(value);  // six values, each many times
    HostMatrix zeros = y;
    std::fill(zeros.values.begin(), zeros.values.end(), 0.0F);
    HostMatrix ones = y;
    std::fill(ones.values.begin(), ones.values.end(), 1.0F);
    for (const std::int64_t k : {std::int64_t{0}, std::int64_t{1}, shape.cols / 3, shape.cols / 2,
                                 std::max<std::int64_t>(shape.cols - 1, 0)}) {
      check_keep_largest(*device_, k, y);
      check_keep_largest(*device_, k, zeros);
      check_keep_largest(*device_, k, ones);
    }
  }
}

TEST_P(CodesTest, TheLargestOfExtremes) {
  const HostMatrix y{
      4,
      9,
      {0.0F,      -0.0F,      0.0F,  -0.0F,  -1, -2, -0.0F,     0.0F,      -3,   // zeros are equal
       kInfinity, -kInfinity, 3e38F, -3e38F, 0,  1,  2,         kInfinity, -1,   //
       -1,        -2,         -3,    -4,     -5, -6, -7,        -8,        -9,   //
       1,         kNan,       2,     -kNan,  3,  4,  kInfinity, kNan,      5}};  // NaN is largest
  for (const std::int64_t k : {0, 1, 2, 3, 4, 5, 6, 8}) check_keep_largest(*device_, k, y);
  check_keep_largest(*device_, 3, {2, 50, std::vector<float>(100, kNan)});
  // Denormals keep their order, though arithmetic may take them for zero.
  const float next = std::nextafter(kDenormal, 1.0F);
  check_keep_largest(*device_, 2, {1, 5, {kDenormal, -kDenormal, next, 0.0F, -1}});
}

// ── Sparse codes ────────────────────────────────────────────────────────────────────────────────

struct Code {
  HostMatrix z;
  HostMatrix y;
  std::vector<Expected> slopes;
};

/// What a code's activation makes of random inputs, a row at a time through an identity matrix.
Code code_of(const Oracle& oracle, Activation activation, HostMatrix z) {
  Code code{std::move(z), {}, {}};
  code.y = {code.z.rows, code.z.cols, {}};
  const HostMatrix one{1, 1, {1.0F}};
  const HostMatrix column{code.z.rows * code.z.cols, 1, code.z.values};
  for (const Expected& value : oracle.dense_forward(column, one, {}, activation)) {
    code.y.values.push_back(static_cast<float>(value.value));
  }
  if (slope_from_input(activation)) {
    code.slopes = oracle.slopes(column, one, {}, activation);
  } else {
    const HostMatrix outputs{column.rows, 1, code.y.values};
    const HostMatrix ones{column.rows, 1, std::vector<float>(code.y.values.size(), 1.0F)};
    code.slopes = oracle.dense_backward(outputs, one, ones, activation).dx;
  }
  return code;
}

void check_sparsity(Device& device, const CodesOracle& oracle, const SparsityOptions& sparsity,
                    bool kept_largest, Activation activation, const Code& code,
                    const HostMatrix& dy) {
  const Shape shape{code.y.rows, code.y.cols};
  SCOPED_TRACE(std::string(to_string(activation)) + " " + describe(shape) + " l1 " +
               std::to_string(sparsity.l1) + " kl " + std::to_string(sparsity.kl) +
               (kept_largest ? " kept largest" : ""));
  const CodesOracle::SparsityGradients expected =
      oracle.sparsity(sparsity, kept_largest, code.y, code.slopes, dy);
  const Floats y(device, code.y);
  const Floats z(device, code.z);
  const Floats dz(device, dy);
  const Floats dbias(device, shape.cols);
  const Guarded<double> penalty(device, std::span(&kBefore, 1));
  device.run(SparsityBackward{
      .sparsity = sparsity,
      .kept_largest = kept_largest,
      .activation = activation,
      .y = y.matrix(shape.rows, shape.cols),
      .z = slope_from_input(activation) ? z.matrix(shape.rows, shape.cols) : Matrix{},
      .dy = dz.matrix(shape.rows, shape.cols),
      .dbias = dbias.tensor(),
      .penalty_sum = penalty.tensor()});
  EXPECT_TRUE(near(dz.read(), expected.dz));
  EXPECT_TRUE(near(dbias.read(), expected.dbias));
  const Expected total = on_top(expected.penalty_sum);
  EXPECT_TRUE(near(penalty.read(), std::span(&total, 1)));
  EXPECT_TRUE(y.is_untouched());
  EXPECT_TRUE(z.is_untouched());
}

constexpr std::array kSparsities{SparsityOptions{0.1F, 0, 0.05F}, SparsityOptions{0, 3, 0.05F},
                                 SparsityOptions{0.01F, 0.5F, 0.3F}, SparsityOptions{}};

TEST_P(CodesTest, SparsityIsRightAtEverySize) {
  Numbers numbers(6);
  std::size_t turn = 0;
  for (const Shape& shape : kShapes) {
    for (const SparsityOptions& sparsity : kSparsities) {
      const bool kept_largest = turn % 3 == 0;
      const Activation activation =
          sparsity.kl > 0 ? Activation::sigmoid
                          : test::kAllActivations[turn % test::kAllActivations.size()];
      ++turn;
      Code code = code_of(oracle_, activation, numbers.matrix(shape.rows, shape.cols, -3, 3));
      if (kept_largest) {
        code.y.values = CodesOracle::keep_largest((shape.cols + 1) / 2, code.y);
      }
      check_sparsity(*device_, codes_, sparsity, kept_largest, activation, code,
                     numbers.matrix(shape.rows, shape.cols));
    }
  }
}

TEST_P(CodesTest, SparsityGoesThroughEveryActivation) {
  Numbers numbers(7);
  for (const Activation activation : test::kAllActivations) {
    for (const Shape& shape : {Shape{33, 12}, Shape{5, 7}}) {
      const Code code = code_of(oracle_, activation, numbers.matrix(shape.rows, shape.cols, -2, 2));
      check_sparsity(*device_, codes_, {0.2F, 0, 0.05F}, false, activation, code,
                     numbers.matrix(shape.rows, shape.cols));
    }
  }
}

TEST_P(CodesTest, SparsityStandsExtremes) {
  // Columns that are dead, saturated, just so, and of a size that no sigmoid has.
  HostMatrix y{40, 6, {}};
  for (std::int64_t row = 0; row < y.rows; ++row) {
    for (const float value : {0.0F, 1.0F, 0.05F, kDenormal, 1e-5F, 0.999F}) {
      y.values.push_back(value);
    }
  }
  const Code code{y, y, std::vector<Expected>(y.values.size(), {1, 0})};
  const HostMatrix dy = Numbers(8).matrix(y.rows, y.cols);
  for (const float rho : {0.05F, 1e-3F, 0.999F}) {
    for (const bool kept_largest : {false, true}) {
      check_sparsity(*device_, codes_, {0.1F, 1, rho}, kept_largest, Activation::identity, code,
                     dy);
    }
  }
}

TEST_P(CodesTest, NaNInACodeIsSeen) {
  HostMatrix y = Numbers(9).matrix(33, 5, 0.1F, 0.9F);
  y.values[7] = kNan;
  const Floats device_y(*device_, y);
  const Floats dz(*device_, Numbers(10).matrix(33, 5));
  const Floats dbias(*device_, 5);
  const Guarded<double> penalty(*device_, std::span(&kBefore, 1));
  device_->run(SparsityBackward{.sparsity = {0.1F, 0, 0.05F},
                                .activation = Activation::sigmoid,
                                .y = device_y.matrix(33, 5),
                                .dy = dz.matrix(33, 5),
                                .dbias = dbias.tensor(),
                                .penalty_sum = penalty.tensor()});
  EXPECT_TRUE(std::isnan(dz.read()[7]));
  EXPECT_TRUE(std::isnan(dbias.read()[2]));
  EXPECT_TRUE(std::isnan(penalty.read().front()));
}

/// (loss(x + δ) - loss(x - δ)) / 2δ, once for each number in x.
std::vector<double> differences(std::vector<double> x,
                                const std::function<double(const std::vector<double>&)>& loss) {
  constexpr double kDelta = 1e-5;
  std::vector<double> slopes;
  for (double& value : x) {
    const double at = value;
    value = at + kDelta;
    const double above = loss(x);
    value = at - kDelta;
    slopes.push_back((above - loss(x)) / (2 * kDelta));
    value = at;
  }
  return slopes;
}

void expect_near(const std::vector<float>& actual, const std::vector<double>& expected,
                 double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    EXPECT_NEAR(static_cast<double>(actual[i]), expected[i], tolerance) << i;
  }
}

TEST_P(CodesTest, SparsityGradientsAreThoseOfWhatItCosts) {
  constexpr std::int64_t kRows = 7;
  constexpr std::int64_t kUnits = 5;
  Numbers numbers(11);
  const HostMatrix c = numbers.matrix(kRows, kUnits);
  const Code code = code_of(oracle_, Activation::sigmoid, numbers.matrix(kRows, kUnits, -2, 2));
  const std::vector<double> z(code.z.values.begin(), code.z.values.end());
  for (const SparsityOptions& sparsity : kSparsities) {
    // As the trainer documents it, beside a reconstruction loss Σ c·y.
    const auto loss = [&](const std::vector<double>& inputs) {
      double sum = 0;
      for (std::int64_t unit = 0; unit < kUnits; ++unit) {
        double activations = 0;
        for (std::int64_t row = 0; row < kRows; ++row) {
          const double y =
              1 / (1 + std::exp(-inputs[static_cast<std::size_t>(row * kUnits + unit)]));
          sum += c.at(row, unit) * y + static_cast<double>(sparsity.l1) / kRows * std::abs(y);
          activations += y;
        }
        sum += static_cast<double>(sparsity.kl) *
               CodesOracle::sparsity_divergence(static_cast<double>(sparsity.rho),
                                                activations / kRows);
      }
      return sum;
    };
    const Floats y(*device_, code.y);
    const Floats dz(*device_, c);
    const Floats dbias(*device_, kUnits);
    const Guarded<double> penalty(*device_, std::span(&kBefore, 1));
    device_->run(SparsityBackward{.sparsity = sparsity,
                                  .activation = Activation::sigmoid,
                                  .y = y.matrix(kRows, kUnits),
                                  .dy = dz.matrix(kRows, kUnits),
                                  .dbias = dbias.tensor(),
                                  .penalty_sum = penalty.tensor()});
    expect_near(dz.read(), differences(z, loss), 1e-6);
    double of_outputs = 0;
    for (std::size_t i = 0; i < z.size(); ++i) {
      of_outputs += static_cast<double>(c.values[i]) / (1 + std::exp(-z[i]));
    }
    EXPECT_NEAR((penalty.read().front() - kBefore) / kRows, loss(z) - of_outputs, 1e-5);
  }
}

// ── Gaussian codes ──────────────────────────────────────────────────────────────────────────────

/// Means and log variances as they are while a model learns.
HostMatrix gaussian_code(Numbers& numbers, const Shape& shape) {
  return numbers.matrix(shape.rows, 2 * shape.cols, -2, 2);
}

TEST_P(CodesTest, SamplesAreRightAtEverySize) {
  Numbers numbers(12);
  for (const Shape& shape : kShapes) {
    const HostMatrix h = gaussian_code(numbers, shape);
    const Floats device_h(*device_, h);
    for (const bool mean_only : {false, true}) {
      for (const RandomPlace& place :
           {RandomPlace{1, 0, 0}, RandomPlace{0x12345678'9abcdef0, 5'000'000'000'000, 3}}) {
        SCOPED_TRACE(describe(shape) + (mean_only ? " mean" : "") + " step " +
                     std::to_string(place.step));
        const CodesOracle::Sample expected = codes_.sample(h, place, mean_only);
        const Guarded<std::int64_t> step(*device_, std::span(&place.step, 1));
        const Floats z(*device_, shape.rows * shape.cols);
        const Guarded<double> kl(*device_, shape.rows);
        GaussianSample op{.h = device_h.matrix(shape.rows, 2 * shape.cols),
                          .seed = place.seed,
                          .step = step.tensor(),
                          .first_row = place.first_row,
                          .mean_only = mean_only,
                          .z = z.matrix(shape.rows, shape.cols),
                          .kl = kl.column()};
        device_->run(op);
        EXPECT_TRUE(near(z.read(), expected.z));
        EXPECT_TRUE(near(kl.read(), expected.kl));
        EXPECT_TRUE(device_h.is_untouched());
        const std::vector<float> first = z.read();
        op.kl = {};
        if (place.step == 0) op.step = {};
        device_->run(op);
        EXPECT_TRUE(same_bits<float>(z.read(), first));
      }
    }
  }
}

TEST_P(CodesTest, SamplesStandExtremes) {
  const std::vector<float> lambdas{0,  -0.0F, 1e-6F, -1e-6F, 0.99F,  1.01F,     -0.99F, -1.01F,
                                   80, -80,   87,    -87,    1e-20F, kDenormal, -20,    20};
  HostMatrix h{12, static_cast<std::int64_t>(2 * lambdas.size()), {}};
  for (const float mu :
       {0.0F, kDenormal, 1e-20F, -1.0F, 100.0F, 1e15F, -3.0F, 2.0F, 0.5F, -0.5F, 1e-4F, -1e-4F}) {
    h.values.insert(h.values.end(), lambdas.size(), mu);
    h.values.insert(h.values.end(), lambdas.begin(), lambdas.end());
  }
  const CodesOracle::Sample expected = codes_.sample(h, {}, false);
  const Floats device_h(*device_, h);
  const Floats z(*device_, h.rows * h.cols / 2);
  const Guarded<double> kl(*device_, h.rows);
  device_->run(GaussianSample{.h = device_h.matrix(h.rows, h.cols),
                              .seed = 1,
                              .z = z.matrix(h.rows, h.cols / 2),
                              .kl = kl.column()});
  EXPECT_TRUE(near(z.read(), expected.z));
  EXPECT_TRUE(near(kl.read(), expected.kl));
}

TEST_P(CodesTest, SamplesStayFiniteAsLongAsFloatsDo) {
  const HostMatrix h{2,
                     8,
                     {0, 0, 0, 0, 170, -1000, 1000, -3e38F,  // λ/2 ≤ 85 and ε < 5.8
                      1, 1, 1, 1, kNan, 0, 0, 0}};
  const Floats device_h(*device_, h);
  const Floats z(*device_, 8);
  const Guarded<double> kl(*device_, 2);
  device_->run(GaussianSample{
      .h = device_h.matrix(2, 8), .seed = 1, .z = z.matrix(2, 4), .kl = kl.column()});
  const std::vector<float> drawn = z.read();
  EXPECT_TRUE(std::isfinite(drawn[0]));
  EXPECT_NEAR(drawn[1], 0, 1e-36);
  EXPECT_FALSE(std::isnan(drawn[2]));
  EXPECT_NEAR(drawn[3], 0, 1e-36);
  EXPECT_TRUE(std::isnan(drawn[4]));  // and in its place alone
  EXPECT_TRUE(std::isfinite(drawn[5]));
  EXPECT_TRUE(std::isnan(kl.read()[1]));
}

struct GaussianCase {
  float kl_scale = 1;
  std::int64_t warm_up_steps = 0;
  float free_bits = 0;
};

void check_gaussian(Device& device, const CodesOracle& oracle, const GaussianCase& options,
                    const RandomPlace& place, const HostMatrix& h, const HostMatrix& dz) {
  SCOPED_TRACE(describe({dz.rows, dz.cols}) + " scale " + std::to_string(options.kl_scale) +
               " warm-up " + std::to_string(options.warm_up_steps) + " free " +
               std::to_string(options.free_bits) + " step " + std::to_string(place.step));
  const double warmth = options.warm_up_steps == 0
                            ? 1
                            : std::min(1.0, static_cast<double>(place.step + 1) /
                                                static_cast<double>(options.warm_up_steps));
  const double weight = warmth * static_cast<double>(options.kl_scale);
  const CodesOracle::GaussianGradients expected = oracle.gaussian(
      h, dz, place, {weight, 0x1p-22 * std::abs(weight)}, static_cast<double>(options.free_bits));
  const Floats device_h(device, h);
  const Floats device_dz(device, dz);
  const Guarded<std::int64_t> step(device, std::span(&place.step, 1));
  const Floats dh(device, h.rows * h.cols);
  const Floats dbias(device, h.cols);
  const Guarded<double> kl(device, std::span(&kBefore, 1));
  device.run(GaussianBackward{.h = device_h.matrix(h.rows, h.cols),
                              .dz = device_dz.matrix(dz.rows, dz.cols),
                              .seed = place.seed,
                              .step = step.tensor(),
                              .kl_scale = options.kl_scale,
                              .warm_up_steps = options.warm_up_steps,
                              .free_bits = options.free_bits,
                              .dh = dh.matrix(h.rows, h.cols),
                              .dbias = dbias.tensor(),
                              .kl_sum = kl.tensor()});
  EXPECT_TRUE(near(dh.read(), expected.dh));
  EXPECT_TRUE(near(dbias.read(), expected.dbias));
  const Expected total = on_top(expected.kl_sum);
  EXPECT_TRUE(near(kl.read(), std::span(&total, 1)));
  EXPECT_TRUE(device_h.is_untouched());
  EXPECT_TRUE(device_dz.is_untouched());
  EXPECT_TRUE(step.is_untouched());
}

TEST_P(CodesTest, GaussianGradientsAreRightAtEverySize) {
  Numbers numbers(13);
  for (const Shape& shape : kShapes) {
    HostMatrix h = gaussian_code(numbers, shape);
    // Every other column close to the normal distribution: those are below the free bits.
    for (std::size_t i = 0; i < h.values.size(); i += 2) {
      if (shape.cols % 2 == 0) h.values[i] *= 0.01F;
    }
    const HostMatrix dz = numbers.matrix(shape.rows, shape.cols);
    check_gaussian(*device_, codes_, {}, {1, 0}, h, dz);
    check_gaussian(*device_, codes_, {0.5F, 10, 0}, {7, 3}, h, dz);
    check_gaussian(*device_, codes_, {2, 10, 0.3F}, {7, 5'000'000'000'000}, h, dz);
  }
}

TEST_P(CodesTest, TheDivergenceWarmsUp) {
  Numbers numbers(14);
  const HostMatrix h = gaussian_code(numbers, {9, 6});
  const HostMatrix dz = numbers.matrix(9, 6, -1e-3F, 1e-3F);
  for (const std::int64_t step : {0, 1, 98, 99, 100, 1'000'000}) {
    check_gaussian(*device_, codes_, {0.7F, 100, 0}, {1, step}, h, dz);
  }
}

TEST_P(CodesTest, FreeBitsFreeTheColumnsThatHaveNotUsedThem) {
  // Means m in all rows and variance 1: the column's mean divergence is m²/2.
  constexpr std::int64_t kRows = 40;
  HostMatrix h{kRows, 8, {}};
  for (std::int64_t row = 0; row < kRows; ++row) {
    for (const float value : {0.0F, 0.5F, 2.0F, -2.0F, 0.0F, 0.0F, 0.0F, 0.0F}) {
      h.values.push_back(value);
    }
  }
  const HostMatrix dz{kRows, 4, std::vector<float>(kRows * 4, 0.0F)};
  check_gaussian(*device_, codes_, {1, 0, 1}, {}, h, dz);
  check_gaussian(*device_, codes_, {1, 0, 3}, {}, h, dz);  // all are free
  const Floats device_h(*device_, h);
  const Floats device_dz(*device_, dz);
  const Floats dh(*device_, kRows * 8);
  const Floats dbias(*device_, 8);
  const Guarded<double> kl(*device_, std::span(&kBefore, 1));
  device_->run(GaussianBackward{.h = device_h.matrix(kRows, 8),
                                .dz = device_dz.matrix(kRows, 4),
                                .free_bits = 1,
                                .dh = dh.matrix(kRows, 8),
                                .dbias = dbias.tensor(),
                                .kl_sum = kl.tensor()});
  EXPECT_EQ(dbias.read(), (std::vector<float>{0, 0, 80, -80, 0, 0, 0, 0}));
}

TEST_P(CodesTest, GaussianGradientsStandExtremes) {
  HostMatrix h{34, 8, {}};
  for (std::int64_t row = 0; row < h.rows; ++row) {
    for (const float value : {0.0F, 1e-20F, 100.0F, -1e6F, 0.0F, 40.0F, -87.0F, 1e-6F}) {
      h.values.push_back(value);
    }
  }
  HostMatrix dz{34, 4, {}};
  for (std::int64_t row = 0; row < dz.rows; ++row) {
    for (const float value : {kDenormal, 1e-3F, 1e6F, 0.0F}) dz.values.push_back(value);
  }
  for (const float scale : {0.0F, 1.0F, 1e-6F}) {
    check_gaussian(*device_, codes_, {scale, 0, 0}, {}, h, dz);
  }
}

TEST_P(CodesTest, GaussianGradientsAreThoseOfTheLoss) {
  constexpr std::int64_t kRows = 6;
  constexpr std::int64_t kLatent = 5;
  constexpr double kScale = 0.25;
  Numbers numbers(15);
  const HostMatrix h = gaussian_code(numbers, {kRows, kLatent});
  const HostMatrix c = numbers.matrix(kRows, kLatent);
  const RandomPlace place{3, 17, 0};
  // Σ c·z for the draw, ε as it is, and the divergence.
  const auto loss = [&](const std::vector<double>& code) {
    double sum = 0;
    for (std::int64_t row = 0; row < kRows; ++row) {
      for (std::int64_t col = 0; col < kLatent; ++col) {
        const double mu = code[static_cast<std::size_t>(row * 2 * kLatent + col)];
        const double lambda = code[static_cast<std::size_t>(row * 2 * kLatent + kLatent + col)];
        const double epsilon =
            CodesOracle::normal(place.seed, RandomPurpose::code, place.step, row * kLatent + col);
        sum += c.at(row, col) * (mu + std::exp(lambda / 2) * epsilon) +
               kScale * CodesOracle::gaussian_divergence(mu, lambda);
      }
    }
    return sum;
  };
  const Floats device_h(*device_, h);
  const Floats dz(*device_, c);
  const Guarded<std::int64_t> step(*device_, std::span(&place.step, 1));
  const Floats dh(*device_, kRows * 2 * kLatent);
  const Floats dbias(*device_, 2 * kLatent);
  const Guarded<double> kl(*device_, std::span(&kBefore, 1));
  device_->run(GaussianBackward{.h = device_h.matrix(kRows, 2 * kLatent),
                                .dz = dz.matrix(kRows, kLatent),
                                .seed = place.seed,
                                .step = step.tensor(),
                                .kl_scale = static_cast<float>(kScale),
                                .dh = dh.matrix(kRows, 2 * kLatent),
                                .dbias = dbias.tensor(),
                                .kl_sum = kl.tensor()});
  expect_near(dh.read(), differences({h.values.begin(), h.values.end()}, loss), 1e-5);
  // And the draw itself is the one that this is the gradient of.
  const Floats z(*device_, kRows * kLatent);
  device_->run(GaussianSample{.h = device_h.matrix(kRows, 2 * kLatent),
                              .seed = place.seed,
                              .step = step.tensor(),
                              .z = z.matrix(kRows, kLatent)});
  double weighed = 0;
  const std::vector<float> drawn = z.read();
  for (std::size_t i = 0; i < drawn.size(); ++i) {
    weighed += static_cast<double>(c.values[i]) * static_cast<double>(drawn[i]);
  }
  EXPECT_NEAR(weighed + kScale * (kl.read().front() - kBefore),
              loss({h.values.begin(), h.values.end()}), 1e-4);
}

// ── Together ────────────────────────────────────────────────────────────────────────────────────

/// A step of a model 20 → 12 → 20 whose code is all that a code can be, in the order in which
/// training calls it. Both penalties go to the sum of the loss, as does the loss.
class CodeTraining {
 public:
  CodeTraining(Device& device, std::int64_t batch) : device_(device), batch_(batch) {}

  [[nodiscard]] Step step() const {
    Step step;
    const Matrix clean = clean_.matrix(batch_, kInputs);
    const Matrix noisy = noisy_.matrix(batch_, kInputs);
    const Matrix code = code_.matrix(batch_, kUnits);
    const Matrix code_gradient = code_gradient_.matrix(batch_, kUnits);
    const Matrix drawn = drawn_.matrix(batch_, kLatent);
    const Matrix drawn_gradient = drawn_gradient_.matrix(batch_, kLatent);
    const Matrix logits = logits_.matrix(batch_, kInputs);
    const Matrix w0{parameters_.data(), kInputs, kUnits};
    const Matrix w1{parameters_.data() + kW1, kUnits, 2 * kLatent};
    const Matrix w2{parameters_.data() + kW2, kLatent, kInputs};
    step.add(CorruptBatch{.noise = {Noise::gaussian, 0.2F},
                          .seed = 1,
                          .step = step_.tensor(),
                          .clean = clean,
                          .noisy = noisy});
    step.add(DenseForward{.x = noisy,
                          .w = w0,
                          .bias = vector_of(parameters_.data() + kB0, kUnits),
                          .activation = Activation::sigmoid,
                          .y = code});
    step.add(KeepLargest{.k = 5, .y = code});
    step.add(DenseForward{.x = code, .w = w1, .y = moments_.matrix(batch_, 2 * kLatent)});
    step.add(GaussianSample{.h = moments_.matrix(batch_, 2 * kLatent),
                            .seed = 1,
                            .step = step_.tensor(),
                            .z = drawn,
                            .kl = kl_.column()});
    step.add(DenseForward{.x = drawn, .w = w2, .y = logits});
    step.add(ReconstructionLoss{.z = logits,
                                .bias = vector_of(parameters_.data() + kB2, kInputs),
                                .target = clean,
                                .gradient_scale = 1.0F / static_cast<float>(batch_ * kInputs),
                                .dz = logits,
                                .dbias = vector_of(gradients_.data() + kB2, kInputs),
                                .loss_sum = loss_sum_.tensor()});
    // The bias gradient of "encoder.1" is written twice: the second time is what counts.
    step.add(DenseBackward{.x = drawn,
                           .w = w2,
                           .dz = logits,
                           .dw = {gradients_.data() + kW2, kLatent, kInputs},
                           .dx = drawn_gradient,
                           .dbias_below = vector_of(moment_bias_.data(), kLatent)});
    step.add(GaussianBackward{.h = moments_.matrix(batch_, 2 * kLatent),
                              .dz = drawn_gradient,
                              .seed = 1,
                              .step = step_.tensor(),
                              .kl_scale = 1e-3F,
                              .warm_up_steps = 5,
                              .free_bits = 0.02F,
                              .dh = moment_gradient_.matrix(batch_, 2 * kLatent),
                              .dbias = moment_bias_.tensor(),
                              .kl_sum = loss_sum_.tensor()},
             "encoder.1");
    step.add(DenseBackward{.x = code,
                           .w = w1,
                           .dz = moment_gradient_.matrix(batch_, 2 * kLatent),
                           .dw = {gradients_.data() + kW1, kUnits, 2 * kLatent},
                           .dx = code_gradient,
                           .dbias_below = vector_of(gradients_.data() + kB0, kUnits)});
    step.add(SparsityBackward{.sparsity = {1e-3F, 1e-2F, 0.1F},
                              .kept_largest = true,
                              .activation = Activation::sigmoid,
                              .y = code,
                              .dy = code_gradient,
                              .dbias = vector_of(gradients_.data() + kB0, kUnits),
                              .penalty_sum = loss_sum_.tensor()},
             "encoder.0");
    step.add(DenseBackward{
        .x = noisy, .w = w0, .dz = code_gradient, .dw = {gradients_.data(), kInputs, kUnits}});
    step.add(OptimizerStep{.options = {.learning_rate = 0.01F},
                           .parameters = parameters_.tensor(),
                           .gradients = gradients_.tensor(),
                           .first = first_.tensor(),
                           .second = second_.tensor(),
                           .step = step_.tensor()});
    return step;
  }

  [[nodiscard]] bool is_untouched() const {
    return std::all_of(arrays_.begin(), arrays_.end(),
                       [](const Floats* array) { return array->is_untouched(); }) &&
           kl_.is_untouched() && loss_sum_.is_untouched() && step_.is_untouched();
  }
  [[nodiscard]] std::vector<float> state() const {
    std::vector<float> all;
    for (const Floats* array : arrays_) {
      const std::vector<float> values = array->read();
      all.insert(all.end(), values.begin(), values.end());
    }
    for (const double value : kl_.read()) all.push_back(static_cast<float>(value));
    all.push_back(static_cast<float>(loss_sum_.read().front()));
    return all;
  }

  /// What two devices computed each in its own way, and rounded so.
  [[nodiscard]] std::vector<float> gradients() const { return gradients_.read(); }
  [[nodiscard]] std::vector<float> moment_bias() const { return moment_bias_.read(); }
  [[nodiscard]] std::vector<float> moment_gradient() const { return moment_gradient_.read(); }

 private:
  static constexpr std::int64_t kInputs = 20;
  static constexpr std::int64_t kUnits = 12;
  static constexpr std::int64_t kLatent = 3;
  static constexpr std::int64_t kB0 = 240;
  static constexpr std::int64_t kW1 = 256;
  static constexpr std::int64_t kW2 = 336;
  static constexpr std::int64_t kB2 = 400;
  static constexpr std::int64_t kParameters = 420;
  static constexpr std::int64_t kNoStep = 0;
  static constexpr double kNoLoss = 0;

  static std::vector<float> random(std::uint32_t seed, std::int64_t size) {
    return Numbers(seed).vector(size, -0.3F, 0.3F);
  }
  static std::vector<float> zeros() { return std::vector<float>(kParameters); }

  Device& device_;
  std::int64_t batch_;
  Guarded<std::int64_t> step_{device_, std::span(&kNoStep, 1)};
  Floats clean_{device_, Numbers(20).matrix(batch_, kInputs, 0, 1)};
  Floats noisy_{device_, batch_* kInputs};
  Floats code_{device_, batch_* kUnits};
  Floats code_gradient_{device_, batch_* kUnits};
  Floats moments_{device_, batch_ * 2 * kLatent};
  Floats moment_gradient_{device_, batch_ * 2 * kLatent};
  Floats moment_bias_{device_, 2 * kLatent};
  Floats drawn_{device_, batch_* kLatent};
  Floats drawn_gradient_{device_, batch_* kLatent};
  Floats logits_{device_, batch_* kInputs};
  Floats parameters_{device_, std::span<const float>(random(21, kParameters))};
  Floats gradients_{device_, std::span<const float>(zeros())};
  Floats first_{device_, std::span<const float>(zeros())};
  Floats second_{device_, std::span<const float>(zeros())};
  Guarded<double> kl_{device_, batch_};
  Guarded<double> loss_sum_{device_, std::span(&kNoLoss, 1)};
  std::array<const Floats*, 13> arrays_{&noisy_,           &code_,      &code_gradient_,  &moments_,
                                        &moment_gradient_, &drawn_,     &drawn_gradient_, &logits_,
                                        &parameters_,      &gradients_, &first_,          &second_,
                                        &moment_bias_};
};

TEST_P(CodesTest, RecordingRunsNothingAndReplayingRunsAllOfIt) {
  CodeTraining direct(*device_, 70);
  CodeTraining recorded(*device_, 70);
  const std::unique_ptr<Program> step = device_->compile(recorded.step());
  EXPECT_TRUE(recorded.is_untouched());
  for (int i = 0; i < GetParam().affordable(12, 4); ++i) {
    run_one_by_one(*device_, direct.step());
    step->replay(1);
    EXPECT_TRUE(same_bits<float>(recorded.state(), direct.state())) << "step " << i;
  }
}

TEST_P(CodesTest, TheSumsOfColumnsAreThoseOfTheLastToWriteThem) {
  CodeTraining training(*device_, 70);
  const std::unique_ptr<Program> step = device_->compile(training.step());
  step->replay(1);
  const std::vector<float> bias = training.moment_bias();
  const std::vector<float> gradient = training.moment_gradient();
  for (std::size_t col = 0; col < bias.size(); ++col) {
    double sum = 0;
    for (std::size_t row = 0; row < 70; ++row) {
      sum += static_cast<double>(gradient[row * bias.size() + col]);
    }
    EXPECT_NEAR(static_cast<double>(bias[col]), sum, 1e-7);
  }
}

TEST_P(CodesTest, AStepIsTheCpusOperationByOperation) {
  std::vector<CheckedOutput> outputs;
  {
    const std::unique_ptr<Device> check = make_compare_device(
        std::move(device_), make_cpu_device(1),
        [&](std::span<const CheckedOutput> found) { outputs.assign(found.begin(), found.end()); });
    CodeTraining training(*check, 33);
    check->run(training.step());
    check->run(training.step());
  }
  std::vector<std::string> names;
  for (const CheckedOutput& output : outputs) {
    names.push_back(output.name);
    EXPECT_LT(output.relative, 2e-5) << output.name;
  }
  for (const char* name :
       {"noise noisy", "keep largest y", "sample z", "sample kl", "encoder.1 sample backward dh",
        "encoder.1 sample backward dbias", "encoder.1 sample backward kl sum",
        "encoder.0 sparsity dz", "encoder.0 sparsity dbias", "encoder.0 sparsity penalty"}) {
    EXPECT_EQ(std::count(names.begin(), names.end(), name), 1) << name;
  }
  device_ = GetParam().make();
}

TEST(Codes, AreTimedByStage) {
  const std::unique_ptr<Device> cpu = make_cpu_device(1);
  std::vector<std::string> stages;
  const std::unique_ptr<Device> timing = make_timing_device(
      *cpu, [&](const TimedOperation& timed) { stages.emplace_back(timed.stage); });
  CodeTraining timed(*timing, 33);
  CodeTraining plain(*cpu, 33);
  timing->run(timed.step());
  cpu->run(plain.step());
  EXPECT_TRUE(same_bits<float>(timed.state(), plain.state()));
  for (const char* stage : {"noise", "keep largest", "sample", "sample backward", "sparsity"}) {
    EXPECT_EQ(std::count(stages.begin(), stages.end(), stage), 1) << stage;
  }
}

class CodesSameBitsTest : public ::testing::TestWithParam<Target> {};

INSTANTIATE_TEST_SUITE_P(Devices, CodesSameBitsTest, ::testing::ValuesIn(test::devices()),
                         test::test_name);

TEST_P(CodesSameBitsTest, ThreadsAndRepeatsDoNotMatter) {
  const auto run = [&](int threads, std::int64_t batch) {
    const std::unique_ptr<Device> device = GetParam().with_threads(threads).make();
    CodeTraining training(*device, batch);
    const std::unique_ptr<Program> step = device->compile(training.step());
    for (int i = 0; i < GetParam().affordable(20, 3); ++i) step->replay(1);
    return training.state();
  };
  for (const std::int64_t batch : {1, 31, 257}) {
    const std::vector<float> first = run(GetParam().options.threads, batch);
    for (const int threads : GetParam().thread_counts()) {
      for (int repeat = 0; repeat < 2; ++repeat) {
        EXPECT_TRUE(same_bits<float>(run(threads, batch), first))
            << "batch " << batch << ", " << threads << " threads, repeat " << repeat;
      }
    }
  }
}

}  // namespace
}  // namespace ae
