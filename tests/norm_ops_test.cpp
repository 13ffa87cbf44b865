// Layer and batch normalisation on every backend against the oracle: at odd sizes, on extreme
// inputs, with outputs full of NaN beforehand and a guard on either side of each array.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "backend/backend.hpp"
#include "backends.hpp"
#include "guarded.hpp"
#include "norm_oracle.hpp"
#include "numbers.hpp"

namespace ae {
namespace {

using test::Expected;
using test::Floats;
using test::HostMatrix;
using test::near;
using test::NormOracle;
using test::Numbers;
using test::same_bits;
using test::Target;

using Over = NormOracle::Over;

/// A batch of `rows` times `pixels` groups of `channels`.
struct Size {
  std::int64_t rows;
  std::int64_t pixels;
  std::int64_t channels;

  [[nodiscard]] std::int64_t groups() const { return rows * pixels; }
  [[nodiscard]] std::int64_t cols() const { return pixels * channels; }
};

/// Vectors and images, around the sizes of warps, blocks and panels.
std::vector<Size> sizes(const Target& target) {
  std::vector<Size> all{{0, 1, 5},   {3, 1, 0},  {1, 1, 1},  {1, 1, 2},   {2, 1, 7},
                        {33, 1, 31}, {5, 1, 33}, {65, 1, 3}, {4, 1, 257}, {3, 6, 4},
                        {33, 5, 3},  {2, 9, 1},  {9, 4, 128}};
  if (target.affordable(1, 0) != 0) {
    for (const Size& size : {Size{257, 1, 33}, Size{64, 1, 784}, Size{37, 49, 32}}) {
      all.push_back(size);
    }
  }
  return all;
}

struct Case {
  Size size;
  Activation activation;
  HostMatrix x;
  std::vector<float> gamma;
  std::vector<float> beta;
  HostMatrix dy;
};

Case random_case(Numbers& numbers, const Size& size, Activation activation, float low, float high) {
  return {size,
          activation,
          numbers.matrix(size.groups(), size.channels, low, high),
          numbers.vector(size.channels, -1.5F, 1.5F),
          numbers.vector(size.channels),
          numbers.matrix(size.groups(), size.channels)};
}

class NormTest : public ::testing::TestWithParam<Target> {
 protected:
  /// Both passes of a layer_norm.
  void check_layer_norm(const Case& c) {
    const Floats x(*backend_, c.x);
    const Floats gamma(*backend_, std::span<const float>(c.gamma));
    const Floats beta(*backend_, std::span<const float>(c.beta));
    const Floats y(*backend_, c.x.rows * c.x.cols);
    const Floats alone(*backend_, c.x.rows * c.x.cols);
    const Floats statistics(*backend_, 2 * c.x.rows);
    LayerNormForward forward{.layer = "encoder.1",
                             .activation = c.activation,
                             .channels = c.size.channels,
                             .x = x.matrix(c.size.rows, c.size.cols()),
                             .gamma = gamma.data(),
                             .beta = beta.data(),
                             .y = y.matrix(c.size.rows, c.size.cols()),
                             .statistics = statistics.data()};
    backend_->layer_norm_forward(forward);
    forward.y = alone.matrix(c.size.rows, c.size.cols());
    forward.statistics = nullptr;
    backend_->layer_norm_forward(forward);
    const NormOracle::Normalized expected =
        oracle_.normalize(Over::group, c.activation, c.x, c.gamma, c.beta);
    EXPECT_TRUE(near(y.read(), expected.y));
    EXPECT_TRUE(same_bits<float>(y.read(), alone.read()));
    if (c.size.channels > 0) {
      std::vector<Expected> expected_statistics;
      for (std::size_t group = 0; group < expected.mean.size(); ++group) {
        expected_statistics.push_back(expected.mean[group]);
        expected_statistics.push_back(oracle_.inverse_deviation(expected.variance[group]));
      }
      EXPECT_TRUE(near(statistics.read(), expected_statistics));
    }
    const NormOracle::Gradients gradients =
        oracle_.gradients(Over::group, c.activation, c.x, c.gamma, c.beta, c.dy);
    for (const bool with_dx : {true, false}) {
      SCOPED_TRACE(with_dx ? "with dx" : "without dx");
      const Floats dy(*backend_, c.dy);
      const Floats dx(*backend_, c.x.rows * c.x.cols);
      const Floats dgamma(*backend_, c.x.cols);
      const Floats dbeta(*backend_, c.x.cols);
      backend_->layer_norm_backward(
          {.layer = "encoder.1",
           .activation = c.activation,
           .channels = c.size.channels,
           .x = x.matrix(c.size.rows, c.size.cols()),
           .gamma = gamma.data(),
           .beta = beta.data(),
           .y = y.matrix(c.size.rows, c.size.cols()),
           .statistics = statistics.data(),
           .dy = dy.matrix(c.size.rows, c.size.cols()),
           .dgamma = dgamma.data(),
           .dbeta = dbeta.data(),
           .dx = with_dx ? dx.matrix(c.size.rows, c.size.cols()) : Matrix{}});
      judge(gradients, dy, dgamma, dbeta, dx, with_dx);
    }
    EXPECT_TRUE(x.is_untouched());
    EXPECT_TRUE(gamma.is_untouched());
    EXPECT_TRUE(beta.is_untouched());
  }

  /// Both passes of a batch_norm, and the pass after training.
  void check_batch_norm(const Case& c, const std::vector<float>& running_before) {
    const Floats x(*backend_, c.x);
    const Floats gamma(*backend_, std::span<const float>(c.gamma));
    const Floats beta(*backend_, std::span<const float>(c.beta));
    const Floats running(*backend_, std::span<const float>(running_before));
    const Floats y(*backend_, c.x.rows * c.x.cols);
    const Floats after(*backend_, c.x.rows * c.x.cols);
    const Floats statistics(*backend_, 2 * c.x.cols);
    BatchNormForward forward{.layer = "encoder.1",
                             .activation = c.activation,
                             .channels = c.size.channels,
                             .x = x.matrix(c.size.rows, c.size.cols()),
                             .gamma = gamma.data(),
                             .beta = beta.data(),
                             .running = running.data(),
                             .y = after.matrix(c.size.rows, c.size.cols())};
    backend_->batch_norm_forward(forward);
    EXPECT_TRUE(near(after.read(),
                     oracle_.normalize_by(c.activation, c.x, c.gamma, c.beta, running_before)));
    EXPECT_TRUE(running.is_untouched());

    forward.y = y.matrix(c.size.rows, c.size.cols());
    forward.statistics = statistics.data();
    backend_->batch_norm_forward(forward);
    const NormOracle::Normalized expected =
        oracle_.normalize(Over::channel, c.activation, c.x, c.gamma, c.beta);
    EXPECT_TRUE(near(y.read(), expected.y));
    std::vector<Expected> expected_statistics = expected.mean;
    expected_statistics.insert(expected_statistics.end(), expected.variance.begin(),
                               expected.variance.end());
    EXPECT_TRUE(near(statistics.read(), expected_statistics));
    EXPECT_TRUE(near(running.read(), oracle_.run_on(running_before, expected, c.x.rows)));

    const NormOracle::Gradients gradients =
        oracle_.gradients(Over::channel, c.activation, c.x, c.gamma, c.beta, c.dy);
    for (const bool with_dx : {true, false}) {
      SCOPED_TRACE(with_dx ? "with dx" : "without dx");
      const Floats dy(*backend_, c.dy);
      const Floats dx(*backend_, c.x.rows * c.x.cols);
      const Floats dgamma(*backend_, c.x.cols);
      const Floats dbeta(*backend_, c.x.cols);
      backend_->batch_norm_backward(
          {.layer = "encoder.1",
           .activation = c.activation,
           .channels = c.size.channels,
           .x = x.matrix(c.size.rows, c.size.cols()),
           .gamma = gamma.data(),
           .beta = beta.data(),
           .y = y.matrix(c.size.rows, c.size.cols()),
           .statistics = statistics.data(),
           .dy = dy.matrix(c.size.rows, c.size.cols()),
           .dgamma = dgamma.data(),
           .dbeta = dbeta.data(),
           .dx = with_dx ? dx.matrix(c.size.rows, c.size.cols()) : Matrix{}});
      judge(gradients, dy, dgamma, dbeta, dx, with_dx);
    }
    EXPECT_TRUE(x.is_untouched());
    EXPECT_TRUE(gamma.is_untouched());
    EXPECT_TRUE(beta.is_untouched());
  }

  std::unique_ptr<Backend> backend_ = GetParam().make();
  NormOracle oracle_{GetParam().precision};

 private:
  static void judge(const NormOracle::Gradients& expected, const Floats& dz, const Floats& dgamma,
                    const Floats& dbeta, const Floats& dx, bool with_dx) {
    EXPECT_TRUE(near(dz.read(), expected.dz));
    EXPECT_TRUE(near(dgamma.read(), expected.dgamma));
    EXPECT_TRUE(near(dbeta.read(), expected.dbeta));
    if (with_dx) {
      EXPECT_TRUE(near(dx.read(), expected.dx));
    } else {
      EXPECT_TRUE(dx.is_untouched());
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Targets, NormTest, ::testing::ValuesIn(test::targets()), test::test_name);

std::string describe(const Case& c) {
  return std::to_string(c.size.rows) + " of " + std::to_string(c.size.pixels) + "x" +
         std::to_string(c.size.channels) + " " + std::string(to_string(c.activation));
}

TEST_P(NormTest, LayerNormIsRightAtEverySize) {
  Numbers numbers(41);
  std::size_t turn = 0;
  for (const Size& size : sizes(GetParam())) {
    for (int i = 0; i < 3; ++i) {
      const Activation activation = test::kAllActivations[turn++ % test::kAllActivations.size()];
      const Case c = random_case(numbers, size, activation, -1, 2);
      SCOPED_TRACE(describe(c));
      check_layer_norm(c);
    }
  }
}

TEST_P(NormTest, BatchNormIsRightAtEverySize) {
  Numbers numbers(42);
  std::size_t turn = 0;
  for (const Size& size : sizes(GetParam())) {
    for (int i = 0; i < 3; ++i) {
      const Activation activation = test::kAllActivations[turn++ % test::kAllActivations.size()];
      const Case c = random_case(numbers, size, activation, -1, 2);
      SCOPED_TRACE(describe(c));
      check_batch_norm(c, numbers.vector(2 * size.channels, 0.1F, 1.5F));
    }
  }
}

/// Values far from zero, where a difference of squares would have nothing left; values that are all
/// the same; and large and small ones side by side.
TEST_P(NormTest, StandExtremes) {
  Numbers numbers(43);
  for (const Activation activation : {Activation::identity, Activation::relu, Activation::gelu}) {
    for (const Size& size : {Size{40, 1, 9}, Size{7, 6, 5}}) {
      Case far = random_case(numbers, size, activation, 1000, 1001);
      Case same = random_case(numbers, size, activation, 0, 1);
      std::fill(same.x.values.begin(), same.x.values.end(), 0.3F);
      Case mixed = random_case(numbers, size, activation, -1, 1);
      for (std::size_t i = 0; i < mixed.x.values.size(); i += 3) mixed.x.values[i] *= 1e6F;
      for (std::size_t i = 1; i < mixed.x.values.size(); i += 3) mixed.x.values[i] *= 1e-30F;
      for (const Case* c : {&far, &same, &mixed}) {
        SCOPED_TRACE(describe(*c));
        check_layer_norm(*c);
        check_batch_norm(*c, std::vector<float>(static_cast<std::size_t>(2 * size.channels), 0.0F));
      }
    }
  }
}

TEST_P(NormTest, NanStaysInItsGroupOrItsChannel) {
  const Size size{5, 3, 4};
  Numbers numbers(44);
  Case c = random_case(numbers, size, Activation::relu, -1, 1);
  c.x.values[6 * 4 + 1] = std::numeric_limits<float>::quiet_NaN();
  const Floats x(*backend_, c.x);
  const Floats gamma(*backend_, std::span<const float>(c.gamma));
  const Floats beta(*backend_, std::span<const float>(c.beta));
  const Floats running(*backend_, std::vector<float>(8, 1.0F));
  const Floats statistics(*backend_, 8);
  const Floats y(*backend_, 60);
  backend_->layer_norm_forward({.activation = c.activation,
                                .channels = 4,
                                .x = x.matrix(5, 12),
                                .gamma = gamma.data(),
                                .beta = beta.data(),
                                .y = y.matrix(5, 12)});
  std::vector<float> values = y.read();
  for (std::size_t i = 0; i < 60; ++i) EXPECT_EQ(std::isnan(values[i]), i / 4 == 6) << i;
  backend_->batch_norm_forward({.activation = c.activation,
                                .channels = 4,
                                .x = x.matrix(5, 12),
                                .gamma = gamma.data(),
                                .beta = beta.data(),
                                .running = running.data(),
                                .statistics = statistics.data(),
                                .y = y.matrix(5, 12)});
  values = y.read();
  for (std::size_t i = 0; i < 60; ++i) EXPECT_EQ(std::isnan(values[i]), i % 4 == 1) << i;
}

/// Recorded with what comes before and after, as in a step, and with the same bits as by itself.
TEST_P(NormTest, ReplayedStepsRunOn) {
  constexpr std::int64_t kRows = 70;
  constexpr std::int64_t kUnits = 9;
  Numbers numbers(45);
  const HostMatrix input = numbers.matrix(kRows, 5);
  const Floats x(*backend_, input);
  const Floats w(*backend_, numbers.matrix(5, kUnits));
  const Floats gamma(*backend_, numbers.matrix(1, kUnits));
  const Floats beta(*backend_, numbers.matrix(1, kUnits));
  const std::vector<float> before(2 * kUnits, 0.5F);
  const auto run = [&](bool recorded) {
    const Floats running(*backend_, std::span<const float>(before));
    const Floats statistics(*backend_, 2 * kUnits);
    const Floats h(*backend_, kRows * kUnits);
    const Floats y(*backend_, kRows * kUnits);
    const Floats dx(*backend_, kRows * kUnits);
    const Floats dw(*backend_, 5 * kUnits);
    const Floats dgamma(*backend_, kUnits);
    const Floats dbeta(*backend_, kUnits);
    const Floats dy(*backend_, kRows * kUnits);
    const Matrix hidden = h.matrix(kRows, kUnits);
    const auto step = [&] {
      backend_->dense_forward({.x = x.matrix(kRows, 5), .w = w.matrix(5, kUnits), .y = hidden});
      backend_->batch_norm_forward({.activation = Activation::tanh,
                                    .channels = kUnits,
                                    .x = hidden,
                                    .gamma = gamma.data(),
                                    .beta = beta.data(),
                                    .running = running.data(),
                                    .statistics = statistics.data(),
                                    .y = y.matrix(kRows, kUnits)});
      backend_->dense_forward(
          {.x = x.matrix(kRows, 5), .w = w.matrix(5, kUnits), .y = dy.matrix(kRows, kUnits)});
      backend_->batch_norm_backward({.activation = Activation::tanh,
                                     .channels = kUnits,
                                     .x = hidden,
                                     .gamma = gamma.data(),
                                     .beta = beta.data(),
                                     .y = y.matrix(kRows, kUnits),
                                     .statistics = statistics.data(),
                                     .dy = dy.matrix(kRows, kUnits),
                                     .dgamma = dgamma.data(),
                                     .dbeta = dbeta.data(),
                                     .dx = dx.matrix(kRows, kUnits)});
      backend_->dense_backward({.x = x.matrix(kRows, 5),
                                .w = w.matrix(5, kUnits),
                                .dz = dx.matrix(kRows, kUnits),
                                .dw = dw.matrix(5, kUnits)});
    };
    if (recorded) {
      const std::unique_ptr<RecordedStep> once = backend_->record(step);
      EXPECT_TRUE(running.is_untouched());
      once->replay();
      once->replay();
    } else {
      step();
      step();
    }
    std::vector<float> all = running.read();
    for (const Floats* array : {&statistics, &y, &dy, &dx, &dw, &dgamma, &dbeta}) {
      const std::vector<float> values = array->read();
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  };
  EXPECT_TRUE(same_bits<float>(run(true), run(false)));
}

}  // namespace
}  // namespace ae
