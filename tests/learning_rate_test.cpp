// Schedules of the learning rate: their values against the formulas, and that each step of a
// training has the one that is its own.

#include "train/learning_rate.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ae/dataset.hpp"
#include "ae/error.hpp"
#include "ae/model.hpp"
#include "ae/train.hpp"

#include "error_message.hpp"
#include "test_data.hpp"

namespace ae {
namespace {

using test::digits;
using test::error_of;
using test::says;

TrainOptions with_schedule(const ScheduleOptions& schedule, std::int64_t epochs = 10) {
  TrainOptions options;
  options.epochs = epochs;
  options.batch_size = 32;
  options.optimizer.learning_rate = 0.5F;
  options.schedule = schedule;
  options.device = {"cpu", 1};
  return options;
}

/// Of every step of every epoch.
std::vector<double> all_rates(const TrainOptions& options, std::int64_t steps_per_epoch) {
  const LearningRate learning_rate(options, steps_per_epoch);
  std::vector<double> rates;
  for (std::int64_t epoch = 1; epoch <= options.epochs; ++epoch) {
    for (std::int64_t step = 0; step < steps_per_epoch; ++step) {
      rates.push_back(learning_rate.at(epoch, step));
    }
  }
  return rates;
}

// ── The formulas ────────────────────────────────────────────────────────────────────────────────

TEST(LearningRate, IsConstantUnlessToldOtherwise) {
  const TrainOptions options = with_schedule({});
  EXPECT_TRUE(LearningRate(options, 3).is_constant());
  for (const double rate : all_rates(options, 3)) EXPECT_EQ(rate, 0.5);
  EXPECT_FALSE(LearningRate(with_schedule({.warm_up = 0.1F}), 3).is_constant());
  for (const Schedule kind : {Schedule::step, Schedule::cosine, Schedule::plateau}) {
    EXPECT_FALSE(LearningRate(with_schedule({.kind = kind}), 3).is_constant());
  }
}

TEST(LearningRate, FallsInStepsAndNotBelowTheFloor) {
  const std::vector<double> rates = all_rates(
      with_schedule(
          {.kind = Schedule::step, .factor = 0.5F, .step_epochs = 3, .floor = 0.0625F + 0.01F}),
      2);
  ASSERT_EQ(rates.size(), 20U);
  for (std::size_t i = 0; i < 20; ++i) {
    const std::size_t epochs_done = i / 2;
    const double due = epochs_done < 3 ? 0.5 : epochs_done < 6 ? 0.25 : epochs_done < 9 ? 0.125 : 0;
    EXPECT_NEAR(rates[i], due == 0 ? 0.0725 : due, 1e-8) << "step " << i;
  }
}

TEST(LearningRate, FollowsHalfACosineFromStepToStep) {
  constexpr double kFloor = 0.1F;
  const std::vector<double> rates =
      all_rates(with_schedule({.kind = Schedule::cosine, .floor = 0.1F}), 4);
  ASSERT_EQ(rates.size(), 40U);
  EXPECT_EQ(rates.front(), 0.5);
  EXPECT_NEAR(rates[20], (0.5 + kFloor) / 2, 1e-15);  // half way
  for (std::size_t i = 1; i < 40; ++i) {
    EXPECT_LT(rates[i], rates[i - 1]);
    // sin² is the other way to write it.
    const double sine = std::sin(3.14159265358979 * static_cast<double>(i) / 80);
    EXPECT_NEAR(rates[i], 0.5 - (0.5 - kFloor) * sine * sine, 1e-12);
  }
  EXPECT_GT(rates.back(), kFloor);  // which the step after the last would have
}

TEST(LearningRate, WarmsUpInAStraightLine) {
  for (const double epochs : {0.5, 1.0, 1.75, 10.0}) {
    const auto steps = static_cast<std::size_t>(epochs * 4);
    const std::vector<double> rates =
        all_rates(with_schedule({.warm_up = static_cast<float>(epochs)}), 4);
    for (std::size_t i = 0; i < rates.size(); ++i) {
      const double part = static_cast<double>(i + 1) / static_cast<double>(steps);
      EXPECT_DOUBLE_EQ(rates[i], 0.5 * (i + 1 < steps ? part : 1)) << "step " << i;
    }
  }
  // A warm-up that ends within a step.
  const std::vector<double> rates = all_rates(with_schedule({.warm_up = 0.375F}), 4);
  EXPECT_DOUBLE_EQ(rates[0], 0.5 / 1.5);
  EXPECT_EQ(rates[1], 0.5);
}

TEST(LearningRate, BeginsTheCosineAfterTheWarmUp) {
  const std::vector<double> rates =
      all_rates(with_schedule({.kind = Schedule::cosine, .warm_up = 2.0F}), 5);
  const std::vector<double> alone = all_rates(with_schedule({.kind = Schedule::cosine}, 8), 5);
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_DOUBLE_EQ(rates[i], 0.05 * static_cast<double>(i + 1));
  }
  for (std::size_t i = 0; i < 40; ++i) EXPECT_NEAR(rates[10 + i], alone[i], 1e-15);
  // Nothing is left for it.
  for (const double rate :
       all_rates(with_schedule({.kind = Schedule::cosine, .warm_up = 10.0F}), 5)) {
    EXPECT_GT(rate, 0);
    EXPECT_LE(rate, 0.5);
  }
}

TEST(LearningRate, FallsWhereTheLossDoesNot) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  LearningRate learning_rate(
      with_schedule({.kind = Schedule::plateau, .factor = 0.5F, .patience = 2, .floor = 0.1F}), 3);
  struct Epoch {
    double loss;
    double rate_after;
  };
  std::int64_t number = 1;
  for (const Epoch& epoch :
       {Epoch{1, 0.5}, Epoch{0.9, 0.5},                             // progress
        Epoch{0.9, 0.5}, Epoch{0.95, 0.25},                         // none, twice
        Epoch{0.9, 0.25},                                           // the count begins again
        Epoch{0.8, 0.25}, Epoch{0.8, 0.25}, Epoch{0.79999, 0.125},  // too little of it
        Epoch{kNan, 0.125}, Epoch{0.7, 0.125}, Epoch{0.8, 0.125}, Epoch{0.8, 0.1F},  // the floor
        Epoch{0.8, 0.1F}, Epoch{0.8, 0.1F}}) {
    EXPECT_GT(learning_rate.at(number, 2), 0);
    learning_rate.end_epoch(epoch.loss);
    ++number;
    EXPECT_DOUBLE_EQ(learning_rate.at(number, 0), epoch.rate_after) << "after epoch " << number - 1;
    EXPECT_DOUBLE_EQ(learning_rate.at(number, 2), epoch.rate_after);
  }
}

TEST(LearningRate, SaysWhetherAnEpochsRatesAreOthers) {
  std::vector<float> rates(4);
  const LearningRate steps(with_schedule({.kind = Schedule::step, .step_epochs = 2}), 4);
  EXPECT_TRUE(steps.fill(1, rates));
  EXPECT_EQ(rates, std::vector<float>(4, 0.5F));
  EXPECT_FALSE(steps.fill(2, rates));
  EXPECT_TRUE(steps.fill(3, rates));
  EXPECT_EQ(rates, std::vector<float>(4, 0.05F));

  const LearningRate warm_up(with_schedule({.warm_up = 1.25F}), 4);
  EXPECT_TRUE(warm_up.fill(1, rates));
  EXPECT_EQ(rates, (std::vector<float>{0.1F, 0.2F, 0.3F, 0.4F}));
  EXPECT_TRUE(warm_up.fill(2, rates));
  EXPECT_FALSE(warm_up.fill(3, rates));
}

// ── In a training ───────────────────────────────────────────────────────────────────────────────

Model small_model() {
  return Model::initialize(dense_autoencoder({28, 28}, {8}), 1);
}

/// Where all rows are the same, so are all batches, and a training is as good as several of one
/// step each, which have its rates as constant ones.
TEST(ScheduledTraining, EveryStepHasItsOwnRate) {
  constexpr std::int64_t kRows = 70;
  constexpr std::int64_t kSteps = 3;  // an epoch
  std::vector<float> row(784);
  digits().copy_row(3, row);
  std::vector<float> values;
  for (std::int64_t i = 0; i < kRows; ++i) values.insert(values.end(), row.begin(), row.end());
  const Dataset rows("one row", {28, 28}, std::move(values));

  TrainOptions options = with_schedule({.kind = Schedule::cosine, .warm_up = 1.5F}, 4);
  options.optimizer.kind = Optimizer::sgd;
  options.optimizer.momentum = 0;
  options.optimizer.learning_rate = 5;
  Model whole = small_model();
  train(whole, rows, nullptr, options);

  Model in_steps = small_model();
  for (const double rate : all_rates(options, kSteps)) {
    TrainOptions one_step = options;
    one_step.schedule = {};
    one_step.optimizer.learning_rate = static_cast<float>(rate);
    one_step.stop_requested = [] { return true; };
    train(in_steps, rows, nullptr, one_step);
  }
  const Model before = small_model();
  float moved = 0;
  for (std::size_t i = 0; i < whole.parameters.size(); ++i) {
    moved = std::max(moved, std::abs(whole.parameters[i] - before.parameters[i]));
    ASSERT_NEAR(whole.parameters[i], in_steps.parameters[i], 1e-6F) << "parameter " << i;
  }
  EXPECT_GT(moved, 0.01F);
}

TEST(ScheduledTraining, ReportsTheRateOfAnEpochsLastStep) {
  const auto reported = [](const TrainOptions& options) {
    Model model = small_model();
    std::vector<float> rates;
    for (const EpochResult& epoch : train(model, digits(), nullptr, options).epochs) {
      rates.push_back(epoch.learning_rate);
    }
    return rates;
  };
  TrainOptions options = with_schedule({}, 3);
  options.optimizer.learning_rate = 0.001F;
  EXPECT_EQ(reported(options), std::vector<float>(3, 0.001F));
  options.schedule = {.kind = Schedule::step, .factor = 0.5F, .step_epochs = 1};
  EXPECT_EQ(reported(options), (std::vector<float>{0.001F, 0.0005F, 0.00025F}));
  options.schedule = {.warm_up = 2.0F};
  EXPECT_EQ(reported(options), (std::vector<float>{0.0005F, 0.001F, 0.001F}));
}

/// A rate of next to nothing moves nothing.
TEST(ScheduledTraining, LaterEpochsGetTheirRates) {
  TrainOptions options =
      with_schedule({.kind = Schedule::step, .factor = 1e-30F, .step_epochs = 1});
  options.optimizer.learning_rate = 0.001F;
  Model model = small_model();
  options.epochs = 1;
  train(model, digits(), nullptr, options);
  Model longer = small_model();
  options.epochs = 3;
  train(longer, digits(), nullptr, options);
  EXPECT_EQ(longer.parameters, model.parameters);
}

TEST(ScheduledTraining, APlateauIsOfTheValidationWhereThereIsOne) {
  TrainOptions options =
      with_schedule({.kind = Schedule::plateau, .factor = 0.5F, .patience = 2}, 12);
  options.optimizer.learning_rate = 0.002F;
  const Dataset held_out = digits().first(40);
  for (const Dataset* validation : {static_cast<const Dataset*>(nullptr), &held_out}) {
    for (const float rate : {0.002F, 1e-9F}) {  // the latter gets nowhere
      options.optimizer.learning_rate = rate;
      Model model = small_model();
      const std::vector<EpochResult> epochs = train(model, digits(), validation, options).epochs;
      double least = HUGE_VAL;
      std::int64_t without = 0;
      float due = rate;
      for (const EpochResult& epoch : epochs) {
        EXPECT_FLOAT_EQ(epoch.learning_rate, due) << "epoch " << epoch.epoch;
        const double loss = validation != nullptr ? epoch.validation_loss : epoch.train_loss;
        without = loss < least * (1 - 1e-4) ? 0 : without + 1;
        if (without == 0) least = loss;
        if (without == 2) {
          due /= 2;
          without = 0;
        }
      }
      EXPECT_EQ(due == rate, rate == 0.002F);
    }
  }
}

TEST(ScheduledTraining, TheEmulatedDeviceLearnsWhatTheCpuLearns) {
  TrainOptions options = with_schedule({.kind = Schedule::cosine, .warm_up = 0.5F}, 3);
  options.optimizer.learning_rate = 0.01F;
  const auto trained = [&](const char* device) {
    options.device.device = device;
    Model model = small_model();
    train(model, digits().first(70), nullptr, options);
    return model.parameters;
  };
  const std::vector<float> cpu = trained("cpu");
  for (const char* device : {"simt", "simt:reverse", "simt:shuffled"}) {
    const std::vector<float> simt = trained(device);
    for (std::size_t i = 0; i < cpu.size(); ++i) {
      ASSERT_NEAR(simt[i], cpu[i], 1e-5F) << device << ", parameter " << i;
    }
  }
}

TEST(ScheduledTraining, RefusesOptionsOutOfRange) {
  const auto refusal = [](auto change) {
    TrainOptions options = with_schedule({});
    change(options);
    return error_of([&] { options.validate(); });
  };
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {-1.0F, 10.5F, kNan}) {
    EXPECT_TRUE(
        says(refusal([&](TrainOptions& o) { o.schedule.warm_up = bad; }), "the warm-up is"));
  }
  for (const float bad : {0.0F, 1.0F, -0.5F, kNan}) {
    EXPECT_TRUE(says(refusal([&](TrainOptions& o) { o.schedule.factor = bad; }), "factor is"));
  }
  for (const float bad : {-0.1F, 0.6F, kNan}) {
    EXPECT_TRUE(says(refusal([&](TrainOptions& o) { o.schedule.floor = bad; }),
                     "from 0 to the learning rate, 0.5"));
  }
  EXPECT_TRUE(says(refusal([](TrainOptions& o) { o.schedule.step_epochs = 0; }), "steps is 0"));
  EXPECT_TRUE(says(refusal([](TrainOptions& o) { o.schedule.patience = 0; }), "patience is 0"));
  EXPECT_TRUE(says(error_of([] { parse_schedule("linear"); }), "constant, step, cosine, plateau"));
}

}  // namespace
}  // namespace ae
