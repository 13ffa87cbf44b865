// Dropout on every device against the oracle: at odd sizes, on extreme inputs, with outputs full
// of NaN beforehand and a guard on either side of each array.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
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

using test::Floats;
using test::Guarded;
using test::HostMatrix;
using test::near;
using test::NormOracle;
using test::Numbers;
using test::same_bits;
using test::Target;

class DropoutTest : public ::testing::TestWithParam<Target> {
 protected:
  std::unique_ptr<Device> device_ = GetParam().make();
  NormOracle oracle_{GetParam().precision};

  /// What the forward pass makes of x; the backward pass must make the same of it.
  std::vector<float> dropped(const HostMatrix& x, float rate, std::uint64_t seed,
                             std::optional<std::int64_t> step, std::uint32_t layer) {
    const Floats device_x(*device_, x);
    const std::int64_t number = step.value_or(0);
    const Guarded<std::int64_t> device_step(*device_, std::span(&number, 1));
    const DropoutMask mask{.rate = rate,
                           .seed = seed,
                           .step = step ? device_step.tensor() : Tensor<std::int64_t>{},
                           .layer = layer};
    const Floats y(*device_, x.rows * x.cols);
    const Floats dx(*device_, x.rows * x.cols);
    device_->run(DropoutForward{
        .mask = mask, .x = device_x.matrix(x.rows, x.cols), .y = y.matrix(x.rows, x.cols)});
    device_->run(DropoutBackward{
        .mask = mask, .dy = device_x.matrix(x.rows, x.cols), .dx = dx.matrix(x.rows, x.cols)});
    EXPECT_TRUE(device_x.is_untouched());
    EXPECT_TRUE(device_step.is_untouched());
    const std::vector<float> result = y.read();
    EXPECT_TRUE(same_bits<float>(result, dx.read()));
    return result;
  }
};

INSTANTIATE_TEST_SUITE_P(Targets, DropoutTest, ::testing::ValuesIn(test::targets()),
                         test::test_name);

TEST_P(DropoutTest, IsRightAtEverySizeAndStep) {
  constexpr std::array kRates{0.2F, 0.0F, 0.5F, 0.999F};
  constexpr std::array<std::optional<std::int64_t>, 4> kSteps{std::nullopt, 3, 0,
                                                              (std::int64_t{5} << 32U) + 9};
  Numbers numbers(31);
  std::size_t turn = 0;
  for (const auto& [rows, cols] : std::vector<std::pair<std::int64_t, std::int64_t>>{
           {0, 5}, {5, 0}, {1, 1}, {3, 2}, {33, 31}, {32, 64}, {5, 257}, {65, 33}, {97, 784}}) {
    if (rows > 90 && GetParam().affordable(1, 0) == 0) continue;
    for (const std::uint32_t layer : {0U, 3U}) {
      const float rate = kRates.at(turn % kRates.size());
      const std::optional<std::int64_t> step = kSteps.at(turn / 2 % kSteps.size());
      SCOPED_TRACE(std::to_string(rows) + "x" + std::to_string(cols) + ", rate " +
                   std::to_string(rate) + ", step " + std::to_string(step.value_or(-1)));
      const std::uint64_t seed = ++turn << 20U;
      const HostMatrix x = numbers.matrix(rows, cols);
      EXPECT_TRUE(near(dropped(x, rate, seed, step, layer),
                       oracle_.dropout(rate, seed, step.value_or(0), layer, x.values)));
    }
  }
}

TEST_P(DropoutTest, WhatIsDroppedIsZeroWhateverItWas) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  HostMatrix x{40, 7, {}};
  const std::array values{std::nanf(""), kInfinity, -kInfinity, 1e38F, 1e-40F, -0.0F};
  for (std::size_t i = 0; i < 280; ++i) x.values.push_back(values.at(i % values.size()));
  const std::vector<float> y = dropped(x, 0.5F, 7, 2, 1);
  for (std::size_t i = 0; i < y.size(); ++i) {
    if (NormOracle::is_dropped(0.5F, 7, 2, 1, static_cast<std::int64_t>(i))) {
      EXPECT_EQ(y[i], 0.0F) << i;
    } else if (std::isnan(x.values[i])) {
      EXPECT_TRUE(std::isnan(y[i])) << i;
    } else if (std::abs(x.values[i]) > 1e-38F) {
      EXPECT_EQ(y[i], 2 * x.values[i]) << i;
    }
  }
}

TEST_P(DropoutTest, EveryLayerStepAndSeedDrawsItsOwnAndAboutAsMuch) {
  const HostMatrix x{32, 65, std::vector<float>(32 * 65, 1.0F)};
  std::vector<std::vector<float>> masks;
  for (const std::uint64_t seed : {1U, 2U}) {
    for (const std::int64_t step : {0, 1}) {
      for (const std::uint32_t layer : {0U, 1U, 2U}) {
        masks.push_back(dropped(x, 0.3F, seed, step, layer));
        const auto zeros = std::count(masks.back().begin(), masks.back().end(), 0.0F);
        EXPECT_NEAR(static_cast<double>(zeros), 0.3 * 2080, 5 * 20.9);  // 5·√(n·0.3·0.7)
      }
    }
  }
  for (std::size_t i = 0; i < masks.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      std::size_t same = 0;
      for (std::size_t k = 0; k < masks[i].size(); ++k)
        same += masks[i][k] == masks[j][k] ? 1U : 0U;
      EXPECT_NEAR(static_cast<double>(same), 0.58 * 2080, 5 * 22.5) << i << " and " << j;
    }
  }
}

TEST_P(DropoutTest, ReplayDrawsByTheStepAsItIsThen) {
  const HostMatrix x = Numbers(32).matrix(33, 9);
  const Floats device_x(*device_, x);
  DeviceArray<std::int64_t> step(*device_, 1);
  const Floats y(*device_, x.rows * x.cols);
  Step drop;
  drop.add(DropoutForward{.mask = {.rate = 0.4F, .seed = 3, .step = step.tensor(), .layer = 2},
                          .x = device_x.matrix(x.rows, x.cols),
                          .y = y.matrix(x.rows, x.cols)});
  const std::unique_ptr<Program> recorded = device_->compile(drop);
  EXPECT_TRUE(y.is_untouched());
  for (const std::int64_t now : {4, 5}) {
    step.upload({&now, 1});
    recorded->replay(1);
    EXPECT_TRUE(near(y.read(), oracle_.dropout(0.4F, 3, now, 2, x.values)));
  }
}

}  // namespace
}  // namespace ae
