// Trainings whose gradients are clipped and whose weights are averaged, through the public
// interface.

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ae/dataset.hpp"
#include "ae/error.hpp"
#include "ae/infer.hpp"
#include "ae/model.hpp"
#include "ae/train.hpp"

#include "error_message.hpp"
#include "test_data.hpp"

namespace ae {
namespace {

using test::digits;
using test::error_of;
using test::says;

Model small_model() {
  return Model::initialize(dense_autoencoder({28, 28}, {16}), 1);
}

TrainOptions quick_options(std::int64_t epochs = 2) {
  TrainOptions options;
  options.epochs = epochs;
  options.batch_size = 64;
  options.device = {"cpu", 1};
  return options;
}

std::vector<float> trained(const TrainOptions& options) {
  Model model = small_model();
  train(model, digits(), nullptr, options);
  return model.parameters;
}

std::vector<float> trained_for(std::int64_t steps, TrainOptions options) {
  std::int64_t done = 0;
  options.stop_requested = [&] { return ++done == steps; };
  return trained(options);
}

// ── Clipping ────────────────────────────────────────────────────────────────────────────────────

/// How far one step of plain gradient descent goes.
double distance_of_a_step(float clip_norm) {
  TrainOptions options = quick_options();
  options.optimizer.kind = Optimizer::sgd;
  options.optimizer.momentum = 0;
  options.optimizer.learning_rate = 0.5F;
  options.clip_norm = clip_norm;
  const std::vector<float> after = trained_for(1, options);
  const std::vector<float> before = small_model().parameters;
  double squares = 0;
  for (std::size_t i = 0; i < after.size(); ++i) {
    const double moved = static_cast<double>(after[i]) - static_cast<double>(before[i]);
    squares += moved * moved;
  }
  return std::sqrt(squares);
}

TEST(Clipping, LimitsHowFarAStepGoes) {
  const double norm = distance_of_a_step(0) / 0.5;
  EXPECT_GT(norm, 0.01);
  for (const double part : {0.9, 0.5, 0.05}) {
    const double due = part * norm;
    EXPECT_NEAR(distance_of_a_step(static_cast<float>(due)), 0.5 * due * norm / (norm + 1e-6),
                1e-4 * due)
        << part;
  }
  EXPECT_NEAR(distance_of_a_step(static_cast<float>(1.1 * norm)), 0.5 * norm, 1e-6 * norm);
}

TEST(Clipping, ThatNeverBitesChangesNothingButRounding) {
  TrainOptions options = quick_options();
  const std::vector<float> plain = trained(options);
  options.clip_norm = 1e6F;
  const std::vector<float> clipped = trained(options);
  for (std::size_t i = 0; i < plain.size(); ++i) ASSERT_NEAR(clipped[i], plain[i], 1e-5F);
}

/// What would be lost without it.
TEST(Clipping, KeepsATrainingThatWouldDiverge) {
  TrainOptions options = quick_options(3);
  options.loss = Loss::mse;
  options.reduction = Reduction::sum;
  options.optimizer.kind = Optimizer::sgd;
  options.optimizer.learning_rate = 0.5F;
  const ModelSpec spec =
      dense_autoencoder({28, 28}, {16}, Activation::identity, Activation::identity);
  Model model = Model::initialize(spec, 1);
  EXPECT_TRUE(says(error_of([&] { train(model, digits(), nullptr, options); }), "diverged"));
  options.clip_norm = 0.1F;
  model = Model::initialize(spec, 1);
  const TrainResult result = train(model, digits(), nullptr, options);
  EXPECT_LT(result.epochs.back().train_loss, result.epochs.front().train_loss);
}

// ── The average ─────────────────────────────────────────────────────────────────────────────────

TEST(Averaging, GivesTheAverageOfTheWeightsAfterEachStep) {
  constexpr double kDecay = 0.8F;
  constexpr std::int64_t kSteps = 9;  // 7 make an epoch
  const std::vector<float> initial = small_model().parameters;
  std::vector<double> average(initial.begin(), initial.end());
  for (std::int64_t step = 1; step <= kSteps; ++step) {
    const std::vector<float> weights = trained_for(step, quick_options());
    for (std::size_t i = 0; i < average.size(); ++i) {
      average[i] = kDecay * average[i] + (1 - kDecay) * static_cast<double>(weights[i]);
    }
  }
  TrainOptions options = quick_options();
  options.ema_decay = 0.8F;
  const std::vector<float> actual = trained_for(kSteps, options);
  ASSERT_EQ(actual.size(), average.size());
  for (std::size_t i = 0; i < average.size(); ++i) {
    ASSERT_NEAR(actual[i], average[i], 1e-6) << "parameter " << i;
  }
  EXPECT_NE(actual, trained_for(kSteps, quick_options()));
}

TEST(Averaging, JudgesTheAverageAndTrainsTheWeights) {
  const Dataset held_out = digits().first(77);
  TrainOptions options = quick_options();
  Model plain_model = small_model();
  const TrainResult plain = train(plain_model, digits(), &held_out, options);
  options.ema_decay = 0.7F;
  Model model = small_model();
  const TrainResult averaged = train(model, digits(), &held_out, options);
  EXPECT_EQ(averaged.epochs.back().validation_loss, evaluate(model, held_out, {}, {"cpu", 1}).loss);
  EXPECT_NE(averaged.epochs.back().validation_loss, plain.epochs.back().validation_loss);
  for (std::size_t i = 0; i < plain.epochs.size(); ++i) {
    EXPECT_EQ(averaged.epochs[i].train_loss, plain.epochs[i].train_loss);
  }
}

TEST(Averaging, OfNoStepsIsTheInitialModel) {
  TrainOptions options = quick_options(0);
  options.ema_decay = 0.9F;
  EXPECT_EQ(trained(options), small_model().parameters);
}

TEST(Averaging, SeesWeightsThatAreNoNumbers) {
  TrainOptions options = quick_options(1);
  options.batch_size = digits().rows();  // one update, after the only training loss is taken
  options.optimizer.learning_rate = 1e30F;
  options.ema_decay = 0.999F;
  Model model = small_model();
  EXPECT_TRUE(says(error_of([&] { train(model, digits(), &digits(), options); }), "diverged"));
}

// ── All of it ───────────────────────────────────────────────────────────────────────────────────

TrainOptions all_options() {
  TrainOptions options = quick_options();
  options.optimizer.learning_rate = 0.01F;
  options.schedule = {.kind = Schedule::cosine, .warm_up = 0.5F, .floor = 1e-3F};
  options.clip_norm = 0.02F;
  options.ema_decay = 0.9F;
  return options;
}

TEST(ClipAndAverage, GiveTheSameBitsWhateverTheThreads) {
  TrainOptions options = all_options();
  const std::vector<float> first = trained(options);
  for (const int threads : {1, 2, 4}) {
    options.device.threads = threads;
    EXPECT_EQ(trained(options), first) << threads << " threads";
  }
}

TEST(ClipAndAverage, TheEmulatedDeviceLearnsWhatTheCpuLearns) {
  const Dataset rows = digits().first(150);
  const Dataset held_out = digits().first(40);
  const auto train_on = [&](const char* device) {
    Model model = small_model();
    TrainOptions options = all_options();
    options.device.device = device;
    const TrainResult result = train(model, rows, &held_out, options);
    return std::pair(result.epochs.back().validation_loss, model.parameters);
  };
  const auto [cpu_loss, cpu] = train_on("cpu");
  for (const char* device : {"simt", "simt:reverse", "simt:shuffled"}) {
    const auto [loss, parameters] = train_on(device);
    EXPECT_NEAR(loss, cpu_loss, 1e-5 * cpu_loss);
    for (std::size_t i = 0; i < cpu.size(); ++i) {
      ASSERT_NEAR(parameters[i], cpu[i], 1e-5F) << device << ", parameter " << i;
    }
  }
}

TEST(ClipAndAverage, RefuseOptionsOutOfRange) {
  const auto refusal = [](auto change) {
    TrainOptions options = quick_options();
    change(options);
    return error_of([&] { options.validate(); });
  };
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (const float bad : {-1.0F, kNan, std::numeric_limits<float>::infinity()}) {
    EXPECT_TRUE(says(refusal([&](TrainOptions& o) { o.clip_norm = bad; }), "norm to clip to is"));
  }
  for (const float bad : {-0.1F, 1.0F, kNan}) {
    EXPECT_TRUE(says(refusal([&](TrainOptions& o) { o.ema_decay = bad; }), "decay of the average"));
  }
}

}  // namespace
}  // namespace ae
