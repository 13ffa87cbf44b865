// The parametric rectifier on every device against its definition in double: at odd sizes, with
// outputs full of NaN beforehand and a guard on either side of each array.

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
#include "numbers.hpp"
#include "oracle.hpp"
#include "targets.hpp"

namespace ae {
namespace {

using test::Expected;
using test::Floats;
using test::HostMatrix;
using test::near;
using test::Numbers;
using test::Target;

struct Size {
  std::int64_t rows;
  std::int64_t pixels;
  std::int64_t channels;
};

/// Vectors and images, around the sizes of packs, warps, blocks and panels.
std::vector<Size> sizes(const Target& target) {
  std::vector<Size> all{{0, 1, 5},   {3, 1, 0}, {1, 1, 1},  {2, 1, 7}, {33, 1, 31}, {32, 1, 64},
                        {4, 1, 257}, {3, 6, 4}, {33, 5, 3}, {2, 9, 1}, {5, 49, 8},  {3, 10, 130}};
  if (target.affordable(1, 0) != 0) {
    for (const Size& size : {Size{257, 1, 33}, Size{64, 1, 784}, Size{37, 49, 32}}) {
      all.push_back(size);
    }
  }
  return all;
}

class PreluTest : public ::testing::TestWithParam<Target> {
 protected:
  std::unique_ptr<Device> device_ = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(Targets, PreluTest, ::testing::ValuesIn(test::targets()), test::test_name);

TEST_P(PreluTest, BothPassesAreRightAtEverySize) {
  const double unit = GetParam().precision.unit;
  const double smallest = GetParam().precision.smallest;
  Numbers numbers(51);
  for (const Size& size : sizes(GetParam())) {
    const std::int64_t cols = size.pixels * size.channels;
    SCOPED_TRACE(std::to_string(size.rows) + " x " + std::to_string(size.pixels) + " x " +
                 std::to_string(size.channels));
    const HostMatrix x = numbers.matrix(size.rows, cols);
    const HostMatrix dy = numbers.matrix(size.rows, cols);
    const std::vector<float> slope = numbers.vector(size.channels, -0.5F, 1.5F);

    std::vector<Expected> y;
    std::vector<Expected> dx;
    std::vector<Expected> dslope(slope.size());
    std::vector<double> sizes_of_terms(slope.size());
    for (std::size_t i = 0; i < x.values.size(); ++i) {
      const std::size_t channel = i % slope.size();
      const auto value = static_cast<double>(x.values[i]);
      const auto gradient = static_cast<double>(dy.values[i]);
      const double factor = value > 0 ? 1 : static_cast<double>(slope[channel]);
      y.push_back({factor * value, unit * std::abs(factor * value) + smallest});
      dx.push_back({factor * gradient, unit * std::abs(factor * gradient) + smallest});
      if (value > 0) continue;
      dslope[channel].value += gradient * value;
      sizes_of_terms[channel] += std::abs(gradient * value);
    }
    // A sum of n products in any order.
    const auto terms = static_cast<double>(size.rows * size.pixels + 1);
    for (std::size_t c = 0; c < slope.size(); ++c) {
      dslope[c].tolerance = terms * unit * sizes_of_terms[c] + smallest;
    }

    const Floats device_x(*device_, x);
    const Floats device_slope(*device_, std::span<const float>(slope));
    const Floats device_y(*device_, size.rows * cols);
    device_->run(PreluForward{.x = device_x.matrix(size.rows, cols),
                              .slope = device_slope.tensor(),
                              .y = device_y.matrix(size.rows, cols)});
    EXPECT_TRUE(near(device_y.read(), y));
    for (const bool with_dx : {true, false}) {
      const Floats device_dy(*device_, dy);
      const Floats device_dx(*device_, size.rows * cols);
      const Floats device_dslope(*device_, size.channels);
      device_->run(PreluBackward{.x = device_x.matrix(size.rows, cols),
                                 .slope = device_slope.tensor(),
                                 .dy = device_dy.matrix(size.rows, cols),
                                 .dslope = device_dslope.tensor(),
                                 .dx = with_dx ? device_dx.matrix(size.rows, cols) : Matrix{}});
      EXPECT_TRUE(near(device_dslope.read(), dslope));
      if (with_dx) {
        EXPECT_TRUE(near(device_dx.read(), dx));
      } else {
        EXPECT_TRUE(device_dx.is_untouched());
      }
      EXPECT_TRUE(device_dy.is_untouched());
    }
    EXPECT_TRUE(device_x.is_untouched());
    EXPECT_TRUE(device_slope.is_untouched());
  }
}

TEST_P(PreluTest, ZeroIsOnTheLowerSideAndNanStays) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> values{0.0F, -0.0F, nan, 2.0F};
  const std::vector<float> ones(4, 1.0F);
  const std::vector<float> slope{0.25F};
  const Floats x(*device_, std::span<const float>(values));
  const Floats a(*device_, std::span<const float>(slope));
  const Floats dy(*device_, std::span<const float>(ones));
  const Floats y(*device_, 4);
  const Floats dx(*device_, 4);
  const Floats dslope(*device_, 1);
  device_->run(PreluForward{.x = x.tensor(), .slope = a.tensor(), .y = y.tensor()});
  device_->run(PreluBackward{.x = x.tensor(),
                             .slope = a.tensor(),
                             .dy = dy.tensor(),
                             .dslope = dslope.tensor(),
                             .dx = dx.tensor()});
  const std::vector<float> result = y.read();
  EXPECT_EQ(result[0], 0.0F);
  EXPECT_TRUE(std::isnan(result[2]));
  EXPECT_EQ(result[3], 2.0F);
  EXPECT_EQ(dx.read(), (std::vector<float>{0.25F, 0.25F, 0.25F, 1.0F}));
  EXPECT_TRUE(std::isnan(dslope.read().front()));
}

}  // namespace
}  // namespace ae
