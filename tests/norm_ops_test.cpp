// Layer and batch normalisation on every device against the oracle: at odd sizes, on extreme
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

#include "device/device.hpp"
#include "guarded.hpp"
#include "norm_oracle.hpp"
#include "numbers.hpp"
#include "targets.hpp"

namespace ae {
namespace {

using test::Expected;
using test::Floats;
using test::HostMatrix;
using test::near;
using test::NormOracle;
using test::Numbers;
using test::run_one_by_one;
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
    const Floats x(*device_, c.x);
    const Floats gamma(*device_, std::span<const float>(c.gamma));
    const Floats beta(*device_, std::span<const float>(c.beta));
    const Floats y(*device_, c.x.rows * c.x.cols);
    const Floats alone(*device_, c.x.rows * c.x.cols);
    const Floats statistics(*device_, 2 * c.x.rows);
    LayerNormForward forward{
        .activation = c.activation,
        .channels = c.size.channels,
        .x = x.matrix(c.size.rows, c.size.cols()),
        .gamma = gamma.tensor(),
        .beta = beta.tensor(),
        .y = y.matrix(c.size.rows, c.size.cols()),
        .mean_rstd = statistics.matrix(c.size.channels == 0 ? 0 : c.x.rows, 2)};
    device_->run(forward);
    forward.y = alone.matrix(c.size.rows, c.size.cols());
    forward.mean_rstd = {};
    device_->run(forward);
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
      const Floats dy(*device_, c.dy);
      const Floats dx(*device_, c.x.rows * c.x.cols);
      const Floats dgamma(*device_, c.x.cols);
      const Floats dbeta(*device_, c.x.cols);
      device_->run(
          LayerNormBackward{.activation = c.activation,
                            .channels = c.size.channels,
                            .x = x.matrix(c.size.rows, c.size.cols()),
                            .gamma = gamma.tensor(),
                            .beta = beta.tensor(),
                            .y = y.matrix(c.size.rows, c.size.cols()),
                            .mean_rstd = statistics.matrix(c.size.channels == 0 ? 0 : c.x.rows, 2),
                            .dy = dy.matrix(c.size.rows, c.size.cols()),
                            .dgamma = dgamma.tensor(),
                            .dbeta = dbeta.tensor(),
                            .dx = with_dx ? dx.matrix(c.size.rows, c.size.cols()) : Matrix{}});
      judge(gradients, dy, dgamma, dbeta, dx, with_dx);
    }
    EXPECT_TRUE(x.is_untouched());
    EXPECT_TRUE(gamma.is_untouched());
    EXPECT_TRUE(beta.is_untouched());
  }

  /// Both passes of a batch_norm, and the pass after training.
  void check_batch_norm(const Case& c, const std::vector<float>& running_before) {
    const Floats x(*device_, c.x);
    const Floats gamma(*device_, std::span<const float>(c.gamma));
    const Floats beta(*device_, std::span<const float>(c.beta));
    const Floats running(*device_, std::span<const float>(running_before));
    const Floats y(*device_, c.x.rows * c.x.cols);
    const Floats after(*device_, c.x.rows * c.x.cols);
    const Floats statistics(*device_, 2 * c.x.cols);
    BatchNormForward forward{.activation = c.activation,
                             .channels = c.size.channels,
                             .x = x.matrix(c.size.rows, c.size.cols()),
                             .gamma = gamma.tensor(),
                             .beta = beta.tensor(),
                             .running = running.matrix(2, c.x.cols),
                             .y = after.matrix(c.size.rows, c.size.cols())};
    device_->run(forward);
    EXPECT_TRUE(near(after.read(),
                     oracle_.normalize_by(c.activation, c.x, c.gamma, c.beta, running_before)));
    EXPECT_TRUE(running.is_untouched());

    forward.y = y.matrix(c.size.rows, c.size.cols());
    forward.mean_var = statistics.matrix(2, c.x.cols);
    device_->run(forward);
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
      const Floats dy(*device_, c.dy);
      const Floats dx(*device_, c.x.rows * c.x.cols);
      const Floats dgamma(*device_, c.x.cols);
      const Floats dbeta(*device_, c.x.cols);
      device_->run(
          BatchNormBackward{.activation = c.activation,
                            .channels = c.size.channels,
                            .x = x.matrix(c.size.rows, c.size.cols()),
                            .gamma = gamma.tensor(),
                            .beta = beta.tensor(),
                            .y = y.matrix(c.size.rows, c.size.cols()),
                            .mean_var = statistics.matrix(2, c.x.cols),
                            .dy = dy.matrix(c.size.rows, c.size.cols()),
                            .dgamma = dgamma.tensor(),
                            .dbeta = dbeta.tensor(),
                            .dx = with_dx ? dx.matrix(c.size.rows, c.size.cols()) : Matrix{}});
      judge(gradients, dy, dgamma, dbeta, dx, with_dx);
    }
    EXPECT_TRUE(x.is_untouched());
    EXPECT_TRUE(gamma.is_untouched());
    EXPECT_TRUE(beta.is_untouched());
  }

  std::unique_ptr<Device> device_ = GetParam().make();
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
  const Floats x(*device_, c.x);
  const Floats gamma(*device_, std::span<const float>(c.gamma));
  const Floats beta(*device_, std::span<const float>(c.beta));
  const Floats running(*device_, std::vector<float>(8, 1.0F));
  const Floats statistics(*device_, 8);
  const Floats y(*device_, 60);
  device_->run(LayerNormForward{.activation = c.activation,
                                .channels = 4,
                                .x = x.matrix(5, 12),
                                .gamma = gamma.tensor(),
                                .beta = beta.tensor(),
                                .y = y.matrix(5, 12)});
  std::vector<float> values = y.read();
  for (std::size_t i = 0; i < 60; ++i) EXPECT_EQ(std::isnan(values[i]), i / 4 == 6) << i;
  device_->run(BatchNormForward{.activation = c.activation,
                                .channels = 4,
                                .x = x.matrix(5, 12),
                                .gamma = gamma.tensor(),
                                .beta = beta.tensor(),
                                .running = running.matrix(2, 4),
                                .mean_var = statistics.matrix(2, 4),
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
  const Floats x(*device_, input);
  const Floats w(*device_, numbers.matrix(5, kUnits));
  const Floats gamma(*device_, numbers.matrix(1, kUnits));
  const Floats beta(*device_, numbers.matrix(1, kUnits));
  const std::vector<float> before(2 * kUnits, 0.5F);
  const auto run = [&](bool recorded) {
    const Floats running(*device_, std::span<const float>(before));
    const Floats statistics(*device_, 2 * kUnits);
    const Floats h(*device_, kRows * kUnits);
    const Floats y(*device_, kRows * kUnits);
    const Floats dx(*device_, kRows * kUnits);
    const Floats dw(*device_, 5 * kUnits);
    const Floats dgamma(*device_, kUnits);
    const Floats dbeta(*device_, kUnits);
    const Floats dy(*device_, kRows * kUnits);
    const Matrix hidden = h.matrix(kRows, kUnits);
    Step step;
    step.add(DenseForward{.x = x.matrix(kRows, 5), .w = w.matrix(5, kUnits), .y = hidden});
    step.add(BatchNormForward{.activation = Activation::tanh,
                              .channels = kUnits,
                              .x = hidden,
                              .gamma = gamma.tensor(),
                              .beta = beta.tensor(),
                              .running = running.matrix(2, kUnits),
                              .mean_var = statistics.matrix(2, kUnits),
                              .y = y.matrix(kRows, kUnits)});
    step.add(DenseForward{
        .x = x.matrix(kRows, 5), .w = w.matrix(5, kUnits), .y = dy.matrix(kRows, kUnits)});
    step.add(BatchNormBackward{.activation = Activation::tanh,
                               .channels = kUnits,
                               .x = hidden,
                               .gamma = gamma.tensor(),
                               .beta = beta.tensor(),
                               .y = y.matrix(kRows, kUnits),
                               .mean_var = statistics.matrix(2, kUnits),
                               .dy = dy.matrix(kRows, kUnits),
                               .dgamma = dgamma.tensor(),
                               .dbeta = dbeta.tensor(),
                               .dx = dx.matrix(kRows, kUnits)});
    step.add(DenseBackward{.x = x.matrix(kRows, 5),
                           .w = w.matrix(5, kUnits),
                           .dz = dx.matrix(kRows, kUnits),
                           .dw = dw.matrix(5, kUnits)});
    if (recorded) {
      const std::unique_ptr<Program> once = device_->compile(step);
      EXPECT_TRUE(running.is_untouched());
      once->replay(1);
      once->replay(1);
    } else {
      run_one_by_one(*device_, step);
      run_one_by_one(*device_, step);
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
