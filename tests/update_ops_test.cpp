// The end of a step, on every target: the scale that clips gradients, and the optimisers with all
// that they may be given besides, a learning rate of the step's own, scaled gradients, an average.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "device/device.hpp"
#include "formulas/optimizers.hpp"
#include "guarded.hpp"
#include "numbers.hpp"
#include "oracle.hpp"
#include "targets.hpp"

namespace ae {
namespace {

using test::Expected;
using test::Floats;
using test::Guarded;
using test::near;
using test::Numbers;
using test::Oracle;
using test::run_one_by_one;
using test::same_bits;
using test::Target;

class UpdateOpsTest : public ::testing::TestWithParam<Target> {
 protected:
  std::unique_ptr<Device> device_ = GetParam().make();
  Oracle oracle_{GetParam().precision};
};

INSTANTIATE_TEST_SUITE_P(Targets, UpdateOpsTest, ::testing::ValuesIn(test::targets()),
                         test::test_name);

constexpr std::array<std::int64_t, 11> kCounts{0,   1,    31,   32,   33,    257,
                                               784, 4096, 4097, 9001, 50'992};

// ── Clipping ────────────────────────────────────────────────────────────────────────────────────

float clip_scale(Device& device, const std::vector<float>& gradients, float max_norm) {
  const Floats device_gradients(device, std::span<const float>(gradients));
  const Floats scale(device, 1);
  device.run(ClipScale{
      .gradients = device_gradients.tensor(), .max_norm = max_norm, .scale = scale.tensor()});
  EXPECT_TRUE(device_gradients.is_untouched());
  return scale.read().front();
}

TEST_P(UpdateOpsTest, ClipScaleIsRightAtEverySize) {
  Numbers numbers(40);
  for (const std::int64_t count : kCounts) {
    const std::vector<float> gradients = numbers.vector(count, -1e-2F, 1e-2F);
    for (const float max_norm : {1e-9F, 1e-3F, 0.1F, 1.0F, 1e9F}) {
      SCOPED_TRACE(std::to_string(count) + " gradients, to " + std::to_string(max_norm));
      const float scale = clip_scale(*device_, gradients, max_norm);
      const Expected expected = oracle_.clip_scale(gradients, static_cast<double>(max_norm));
      EXPECT_TRUE(near(std::span(&scale, 1), std::span(&expected, 1)));
      EXPECT_LE(scale, 1);
    }
  }
}

/// Each gradient counts: one alone, wherever it is.
TEST_P(UpdateOpsTest, ClipScaleMissesNoGradient) {
  for (const std::int64_t count : {1, 33, 1028, 4097}) {
    for (const std::int64_t at : {std::int64_t{0}, count / 2, count - 1}) {
      std::vector<float> gradients(static_cast<std::size_t>(count));
      gradients[static_cast<std::size_t>(at)] = -4;
      EXPECT_NEAR(clip_scale(*device_, gradients, 1), 0.25, 1e-6) << at << " of " << count;
    }
  }
}

TEST_P(UpdateOpsTest, ClipScaleStandsExtremes) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  // No square overflows in the sum, and none vanishes.
  for (const std::vector<float>& gradients :
       {std::vector<float>(100, kLargest), std::vector<float>{1e30F, -1, 0},
        std::vector<float>(1000, 1e-30F), std::vector<float>(33, 1e-40F), std::vector<float>(7)}) {
    for (const float max_norm : {1e-30F, 1e-10F, 1.0F, 1e30F}) {
      const float scale = clip_scale(*device_, gradients, max_norm);
      const Expected expected = oracle_.clip_scale(gradients, static_cast<double>(max_norm));
      EXPECT_TRUE(near(std::span(&scale, 1), std::span(&expected, 1)))
          << gradients.front() << " to " << max_norm;
    }
  }
  // Nothing to scale is not scaled.
  EXPECT_EQ(clip_scale(*device_, std::vector<float>(50), 1), 1);
  EXPECT_EQ(clip_scale(*device_, {0.5F, 0.5F}, 1), 1);
  // What is no number makes none; an infinite norm leaves nothing.
  EXPECT_TRUE(std::isnan(clip_scale(*device_, {1, 2, kNan}, 1)));
  EXPECT_EQ(clip_scale(*device_, {1, -kInf, 2}, 1), 0);
}

// ── The optimisers ──────────────────────────────────────────────────────────────────────────────

/// What an optimiser's step may be given besides.
struct Extras {
  std::vector<float> learning_rates;  ///< none: the options'
  float scale = 1;                    ///< 1: none
  float average_decay = -1;           ///< below 0: no average
};

void check_update(Device& device, const Oracle& oracle, OptimizerOptions options,
                  const Extras& extras, std::int64_t step_before, std::int64_t count,
                  Numbers& numbers) {
  SCOPED_TRACE(std::string(to_string(options.kind)) + ", " + std::to_string(count) +
               " parameters after " + std::to_string(step_before) + " steps, " +
               std::to_string(extras.learning_rates.size()) + " rates, scale " +
               std::to_string(extras.scale) + ", decay " + std::to_string(extras.average_decay));
  const std::vector<float> parameters = numbers.vector(count);
  const std::vector<float> gradients = numbers.vector(count, -1e-2F, 1e-2F);
  const std::vector<float> first = numbers.vector(count, 0, 1e-4F);
  const std::vector<float> second = numbers.vector(count, 0, 1e-4F);
  const std::vector<float> averages = numbers.vector(count, -2, 2);
  const int states = optimizer_states(options.kind);
  const bool has_average = extras.average_decay >= 0;

  const Floats device_parameters(device, std::span<const float>(parameters));
  const Floats device_gradients(device, std::span<const float>(gradients));
  const Floats device_first(device, std::span<const float>(first));
  const Floats device_second(device, std::span<const float>(second));
  const Floats device_rates(device, std::span<const float>(extras.learning_rates));
  const Floats device_scale(device, std::span(&extras.scale, 1));
  const Floats device_average(device, std::span<const float>(averages));
  const Guarded<std::int64_t> step(device, std::span(&step_before, 1));
  const auto steps_per_epoch = static_cast<std::int64_t>(extras.learning_rates.size());
  device.run(OptimizerStep{.options = options,
                           .parameters = device_parameters.tensor(),
                           .gradients = device_gradients.tensor(),
                           .first = states > 0 ? device_first.tensor() : Matrix{},
                           .second = states > 1 ? device_second.tensor() : Matrix{},
                           .step = step.tensor(),
                           .learning_rates = steps_per_epoch > 0 ? device_rates.tensor() : Matrix{},
                           .steps_per_epoch = std::max(steps_per_epoch, std::int64_t{1}),
                           .gradient_scale = extras.scale == 1 ? Matrix{} : device_scale.tensor(),
                           .average = has_average ? device_average.tensor() : Matrix{},
                           .average_decay = std::max(extras.average_decay, 0.0F)});

  if (steps_per_epoch > 0) {
    options.learning_rate =
        extras.learning_rates[static_cast<std::size_t>(step_before % steps_per_epoch)];
  }
  const Oracle::OptimizerState expected =
      oracle.optimizer(options, step_before + 1, parameters, gradients, first, second,
                       static_cast<double>(extras.scale));
  EXPECT_TRUE(near(device_parameters.read(), expected.parameters));
  EXPECT_TRUE(near(device_first.read(), expected.first));
  EXPECT_TRUE(near(device_second.read(), expected.second));
  if (has_average) {
    EXPECT_TRUE(near(
        device_average.read(),
        oracle.averages(static_cast<double>(extras.average_decay), averages, expected.parameters)));
  } else {
    EXPECT_TRUE(device_average.is_untouched());
  }
  EXPECT_EQ(step.read().front(), step_before + 1);
  EXPECT_TRUE(device_gradients.is_untouched());
  EXPECT_TRUE(device_rates.is_untouched());
  EXPECT_TRUE(device_scale.is_untouched());
}

TEST_P(UpdateOpsTest, OptimizersTakeAllThatTheyAreGivenAtEverySize) {
  Numbers numbers(41);
  std::size_t turn = 0;
  for (const std::int64_t count : kCounts) {
    if (count > GetParam().affordable(1'000'000, 5000)) continue;
    for (const Optimizer optimizer : test::kAllOptimizers) {
      // Each size with each optimiser, and the combinations in turn.
      const std::size_t combination = ++turn % 8;
      Extras extras;
      if ((combination & 1U) != 0) extras.learning_rates = {0.1F, 0.03F, 1e-3F};
      if ((combination & 2U) != 0) extras.scale = 0.3F;
      if ((combination & 4U) != 0) extras.average_decay = 0.9F;
      check_update(*device_, oracle_, {.kind = optimizer, .weight_decay = 0.01F}, extras, count % 5,
                   count, numbers);
    }
  }
}

TEST_P(UpdateOpsTest, OptimizersTakeAllThatTheyAreGivenInEveryCombination) {
  Numbers numbers(42);
  for (const Optimizer optimizer : test::kAllOptimizers) {
    for (const std::vector<float>& rates :
         {std::vector<float>{}, std::vector<float>{0.02F}, std::vector<float>{0, 1, 1e-6F, 0.5F}}) {
      for (const float scale : {1.0F, 0.0F, 1e-7F, 0.9F}) {
        for (const float decay : {-1.0F, 0.0F, 0.5F, 0.9999F}) {
          check_update(*device_, oracle_, {.kind = optimizer}, {rates, scale, decay}, 6, 37,
                       numbers);
        }
      }
    }
  }
}

TEST_P(UpdateOpsTest, TheRateIsThatOfTheStepWithinItsEpoch) {
  Numbers numbers(43);
  const Extras extras{
      .learning_rates = numbers.vector(7, 1e-3F, 1), .scale = 1, .average_decay = -1};
  for (const std::int64_t step : {0, 1, 5, 6, 7, 8, 13, 14, 700'000'003}) {
    check_update(*device_, oracle_, {.kind = Optimizer::sgd}, extras, step, 20, numbers);
    check_update(*device_, oracle_, {.kind = Optimizer::adam}, extras, step, 20, numbers);
  }
}

/// The average of a weight that never moves, as that of a pixel which is always black, is exactly
/// the weight, after any number of steps.
TEST_P(UpdateOpsTest, TheAverageOfWhatDoesNotMoveDoesNotMove) {
  const std::vector<float> parameters = Numbers(44).vector(101);
  const std::vector<float> zeros(parameters.size());
  const Floats device_parameters(*device_, std::span<const float>(parameters));
  const Floats gradients(*device_, std::span<const float>(zeros));
  const Floats velocity(*device_, std::span<const float>(zeros));
  const Floats average(*device_, std::span<const float>(parameters));
  const std::int64_t none = 0;
  const Guarded<std::int64_t> step(*device_, std::span(&none, 1));
  for (int i = 0; i < 20; ++i) {
    device_->run(OptimizerStep{.options = {.kind = Optimizer::sgd},
                               .parameters = device_parameters.tensor(),
                               .gradients = gradients.tensor(),
                               .first = velocity.tensor(),
                               .step = step.tensor(),
                               .average = average.tensor(),
                               .average_decay = 0.97F});
  }
  EXPECT_TRUE(average.is_untouched());
  EXPECT_TRUE(device_parameters.is_untouched());
}

// ── Recorded ────────────────────────────────────────────────────────────────────────────────────

/// A model's end of a step, twice as large as what one thread takes at a time.
class Update {
 public:
  static constexpr std::int64_t kCount = 8999;

  explicit Update(Device& device)
      : parameters_(device, std::span<const float>(Numbers(45).vector(kCount))),
        gradients_(device, std::span<const float>(Numbers(46).vector(kCount))),
        first_(device, std::span<const float>(std::vector<float>(kCount))),
        second_(device, std::span<const float>(std::vector<float>(kCount))),
        average_(device, std::span<const float>(Numbers(45).vector(kCount))),
        rates_(device, std::span<const float>(Numbers(47).vector(3, 1e-3F, 1e-2F))),
        scale_(device, 1),
        step_(device, std::span(&kNoStep, 1)) {}

  [[nodiscard]] Step step() const {
    Step step;
    step.add(ClipScale{.gradients = gradients_.tensor(), .max_norm = 2, .scale = scale_.tensor()});
    step.add(OptimizerStep{.parameters = parameters_.tensor(),
                           .gradients = gradients_.tensor(),
                           .first = first_.tensor(),
                           .second = second_.tensor(),
                           .step = step_.tensor(),
                           .learning_rates = rates_.tensor(),
                           .steps_per_epoch = 3,
                           .gradient_scale = scale_.tensor(),
                           .average = average_.tensor(),
                           .average_decay = 0.9F});
    return step;
  }

  [[nodiscard]] bool is_untouched() const {
    return parameters_.is_untouched() && first_.is_untouched() && second_.is_untouched() &&
           average_.is_untouched() && scale_.is_untouched() && step_.is_untouched();
  }
  [[nodiscard]] std::vector<float> state() const {
    std::vector<float> all;
    for (const Floats* array : {&parameters_, &first_, &second_, &average_, &scale_}) {
      const std::vector<float> values = array->read();
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }

 private:
  static constexpr std::int64_t kNoStep = 0;

  Floats parameters_;
  Floats gradients_;
  Floats first_;
  Floats second_;
  Floats average_;
  Floats rates_;
  Floats scale_;
  Guarded<std::int64_t> step_;
};

TEST_P(UpdateOpsTest, ReplayedItIsAsCalled) {
  Update called(*device_);
  Update recorded(*device_);
  const std::unique_ptr<Program> step = device_->compile(recorded.step());
  EXPECT_TRUE(recorded.is_untouched());
  for (int i = 0; i < 5; ++i) {
    run_one_by_one(*device_, called.step());
    step->replay(1);
  }
  EXPECT_FALSE(recorded.is_untouched());
  EXPECT_TRUE(same_bits<float>(recorded.state(), called.state()));
}

/// Two updates in one recording: the second is of what the first left.
TEST_P(UpdateOpsTest, UpdatesFollowEachOtherInARecording) {
  Update called(*device_);
  Update recorded(*device_);
  const Step once = recorded.step();
  Step twice = once;
  for (const Node& node : once.nodes()) twice.add(node.op);
  const std::unique_ptr<Program> steps = device_->compile(twice);
  run_one_by_one(*device_, called.step());
  run_one_by_one(*device_, called.step());
  steps->replay(1);
  EXPECT_TRUE(same_bits<float>(recorded.state(), called.state()));
}

TEST(UpdateOps, ThreadsDoNotMatter) {
  for (const Target& target : test::devices()) {
    std::vector<float> first;
    for (const int threads : target.thread_counts()) {
      const std::unique_ptr<Device> device = target.with_threads(threads).make();
      Update update(*device);
      for (int i = 0; i < 3; ++i) device->run(update.step());
      if (first.empty()) first = update.state();
      EXPECT_TRUE(same_bits<float>(update.state(), first)) << target.name() << " " << threads;
    }
  }
}

}  // namespace
}  // namespace ae
