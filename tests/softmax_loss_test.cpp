// Softmax and cross-entropy against classes on every device: against the definition in double, at
// odd sizes and on extreme logits, with outputs full of NaN beforehand and a guard on either side
// of each array; and the gradient against finite differences.

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
#include "numbers.hpp"
#include "oracle.hpp"
#include "targets.hpp"

namespace ae {
namespace {

using test::Expected;
using test::Floats;
using test::Guarded;
using test::HostMatrix;
using test::near;
using test::Numbers;
using test::same_bits;
using test::Target;

struct Size {
  std::int64_t rows;
  std::int64_t pixels;
  std::int64_t channels;

  [[nodiscard]] std::int64_t cols() const { return pixels * channels; }
};

struct Case {
  Size size;
  HostMatrix z;
  std::vector<float> bias;
  std::vector<std::int32_t> classes;  ///< some of them none
  float scale = 1;
};

Case random_case(Numbers& numbers, const Size& size, float reach) {
  Case made{size,
            numbers.matrix(size.rows, size.cols(), -reach, reach),
            numbers.vector(size.channels),
            {},
            0.125F};
  for (std::int64_t i = 0; i < size.rows * size.pixels; ++i) {
    // From -1 to `channels`: the first and the last are no class.
    const float last = static_cast<float>(size.channels) + 1.0F;
    made.classes.push_back(static_cast<std::int32_t>(std::floor(numbers.uniform(-1.0F, last))));
  }
  return made;
}

struct Answer {
  std::vector<Expected> rows;
  Expected sum;
  std::vector<Expected> dz;
  std::vector<Expected> dbias;
};

/// In double. A logit is rounded once; its distance from the largest, which goes into a power, has
/// the error of both and its own; sums have one rounding a term, in any order.
Answer answer(const Case& c, const test::Precision& precision) {
  const double u = precision.unit;
  const auto channels = static_cast<std::size_t>(c.size.channels);
  Answer result;
  result.dbias.resize(channels);
  std::vector<double> sizes(channels);
  for (std::int64_t row = 0; row < c.size.rows; ++row) {
    Expected loss;
    for (std::int64_t i = 0; i < c.size.pixels; ++i) {
      const auto pixel = static_cast<std::size_t>(row * c.size.pixels + i);
      const std::int32_t number = c.classes[pixel];
      std::vector<double> logits;
      double reach = 0;
      for (std::size_t k = 0; k < channels; ++k) {
        const auto z = static_cast<double>(c.z.values[pixel * channels + k]);
        logits.push_back(z + static_cast<double>(c.bias[k]));
        reach = std::max(reach, std::abs(logits.back()));
      }
      const bool counts = number >= 0 && number < c.size.channels;
      const double largest = logits.empty() ? 0 : *std::max_element(logits.begin(), logits.end());
      double sum = 0;
      for (const double logit : logits) sum += std::exp(logit - largest);
      // Two roundings of logits and one of their difference; a power has two more of its own.
      const double relative = 4 * u * reach + 4 * u;
      const double of_sum = relative + static_cast<double>(channels) * u;
      if (counts) {
        const auto k = static_cast<std::size_t>(number);
        const double here = largest - logits[k] + std::log(sum);
        loss.value += here;
        loss.tolerance += 3 * u * reach + of_sum + 4 * u * std::log(sum) + 2 * u * here + 2 * u;
      }
      for (std::size_t k = 0; k < channels; ++k) {
        const double probability = std::exp(logits[k] - largest) / sum;
        const double is_class = counts && static_cast<std::int32_t>(k) == number ? 1 : 0;
        const auto scale = static_cast<double>(c.scale);
        Expected gradient{counts ? scale * (probability - is_class) : 0, 0};
        if (counts) {
          gradient.tolerance = scale * (probability * (relative + of_sum + u) +
                                        2 * u * std::abs(probability - is_class)) +
                               2e-38;  // where a power stays at e^-87
        }
        result.dz.push_back(gradient);
        result.dbias[k].value += gradient.value;
        result.dbias[k].tolerance += gradient.tolerance;
        sizes[k] += std::abs(gradient.value);
      }
    }
    result.rows.push_back(loss);
    result.sum.value += loss.value;
    result.sum.tolerance += loss.tolerance;
  }
  const auto terms = static_cast<double>(c.size.rows * c.size.pixels);
  for (std::size_t k = 0; k < channels; ++k) result.dbias[k].tolerance += terms * u * sizes[k];
  return result;
}

class SoftmaxTest : public ::testing::TestWithParam<Target> {
 protected:
  void check(const Case& c) {
    const Size& size = c.size;
    const Answer expected = answer(c, GetParam().precision);
    const Floats z(*device_, c.z);
    const Floats bias(*device_, std::span<const float>(c.bias));
    const Guarded<std::int32_t> classes(*device_, std::span<const std::int32_t>(c.classes));
    const Floats dz(*device_, size.rows * size.cols());
    const Floats dbias(*device_, size.channels);
    const double before = 3;
    const Guarded<double> sum(*device_, std::span(&before, 1));
    const Guarded<double> rows(*device_, size.rows);
    SoftmaxLoss op{.z = z.matrix(size.rows, size.cols()),
                   .bias = bias.tensor(),
                   .classes = classes.matrix(size.rows, size.pixels),
                   .gradient_scale = c.scale,
                   .dz = dz.matrix(size.rows, size.cols()),
                   .dbias = dbias.tensor(),
                   .loss_sum = sum.tensor()};
    device_->run(op);
    device_->run(
        SoftmaxRowLosses{.z = op.z, .bias = op.bias, .classes = op.classes, .sums = rows.column()});
    EXPECT_TRUE(near(dz.read(), expected.dz));
    EXPECT_TRUE(near(dbias.read(), expected.dbias));
    EXPECT_NEAR(sum.read().front(), before + expected.sum.value, expected.sum.tolerance + 1e-15);
    const std::vector<double> losses = rows.read();
    for (std::size_t row = 0; row < losses.size(); ++row) {
      EXPECT_NEAR(losses[row], expected.rows[row].value, expected.rows[row].tolerance + 1e-15);
    }
    EXPECT_TRUE(z.is_untouched());
    EXPECT_TRUE(bias.is_untouched());
    EXPECT_TRUE(classes.is_untouched());

    // In the memory of z, with the same bits.
    const Floats in_place(*device_, c.z);
    op.z = in_place.matrix(size.rows, size.cols());
    op.dz = in_place.matrix(size.rows, size.cols());
    device_->run(op);
    EXPECT_TRUE(same_bits<float>(in_place.read(), dz.read()));
  }

  std::unique_ptr<Device> device_ = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(Targets, SoftmaxTest, ::testing::ValuesIn(test::targets()),
                         test::test_name);

TEST_P(SoftmaxTest, IsRightAtEverySize) {
  std::vector<Size> all{{0, 3, 4},  {3, 0, 4},  {2, 5, 1},  {1, 1, 2},  {3, 6, 3},
                        {5, 7, 10}, {33, 4, 2}, {2, 9, 31}, {2, 3, 33}, {4, 2, 70}};
  if (GetParam().affordable(1, 0) != 0) {
    for (const Size& size : {Size{9, 49, 21}, Size{257, 5, 4}, Size{65, 64, 3}}) {
      all.push_back(size);
    }
  }
  Numbers numbers(61);
  for (const Size& size : all) {
    SCOPED_TRACE(std::to_string(size.rows) + " x " + std::to_string(size.pixels) + " x " +
                 std::to_string(size.channels));
    check(random_case(numbers, size, 4));
  }
}

TEST_P(SoftmaxTest, ExtremeLogitsNeitherOverflowNorVanish) {
  Numbers numbers(62);
  check(random_case(numbers, {5, 6, 5}, 80));
  check(random_case(numbers, {5, 6, 5}, 3e4F));
}

TEST_P(SoftmaxTest, NanIsSeenInTheLoss) {
  Numbers numbers(63);
  for (const std::size_t where : {0U, 3U}) {
    Case c = random_case(numbers, {1, 1, 40}, 1);
    c.classes = {1};
    c.z.values[where] = std::numeric_limits<float>::quiet_NaN();
    const Floats z(*device_, c.z);
    const Floats bias(*device_, std::span<const float>(c.bias));
    const Guarded<std::int32_t> classes(*device_, std::span<const std::int32_t>(c.classes));
    const Guarded<double> rows(*device_, 1);
    device_->run(SoftmaxRowLosses{.z = z.matrix(1, 40),
                                  .bias = bias.tensor(),
                                  .classes = classes.matrix(1, 1),
                                  .sums = rows.column()});
    EXPECT_TRUE(std::isnan(rows.read().front()));
  }
}

/// The oracle's gradient, of the oracle's loss.
TEST(SoftmaxOracle, GradientEqualsFiniteDifferences) {
  constexpr float kStep = 0x1p-9F;
  Numbers numbers(64);
  const Case c = random_case(numbers, {2, 3, 4}, 2);
  const test::Precision exact{.unit = 0, .smallest = 0};
  const Answer found = answer(c, exact);
  for (std::size_t i = 0; i < c.z.values.size(); ++i) {
    Case above = c;
    Case below = c;
    above.z.values[i] += kStep;
    below.z.values[i] -= kStep;
    const double width =
        static_cast<double>(above.z.values[i]) - static_cast<double>(below.z.values[i]);
    const double slope = (answer(above, exact).sum.value - answer(below, exact).sum.value) / width;
    EXPECT_NEAR(static_cast<double>(c.scale) * slope, found.dz[i].value, 1e-6);
  }
}

}  // namespace
}  // namespace ae
