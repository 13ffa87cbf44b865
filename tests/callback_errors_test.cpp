// What the caller's functions throw ends a training, and costs nothing that was learnt.

#include <cstdint>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include "ae/error.hpp"
#include "ae/model.hpp"
#include "ae/train.hpp"

#include "short_training.hpp"
#include "test_data.hpp"

namespace ae {
namespace {

using test::digits;
using test::options_on;

Model new_model() {
  return Model::initialize(dense_autoencoder({28, 28}, {16}), 1);
}

class CallbackErrors : public ::testing::TestWithParam<float> {};  // the average's decay

INSTANTIATE_TEST_SUITE_P(Averages, CallbackErrors, ::testing::Values(0.0F, 0.9F));

TEST_P(CallbackErrors, OfOnEpochLeaveTheModelAsItIsThen) {
  TrainOptions options = options_on("cpu");
  options.ema_decay = GetParam();
  Model due = new_model();
  train(due, digits(), nullptr, options);  // two epochs

  options.epochs = 5;
  options.on_epoch = [](const EpochResult& epoch) {
    if (epoch.epoch == 2) throw std::runtime_error("the disk is full");
  };
  Model model = new_model();
  EXPECT_THROW(train(model, digits(), nullptr, options), std::runtime_error);
  EXPECT_EQ(model.parameters, due.parameters);
}

TEST_P(CallbackErrors, OfStopRequestedDoToo) {
  const auto run = [](Model& model, auto at_the_fifth) {
    TrainOptions options = options_on("cpu");
    options.ema_decay = GetParam();
    int steps = 0;
    options.stop_requested = [&] { return ++steps == 5 && at_the_fifth(); };
    train(model, digits(), nullptr, options);
  };
  Model due = new_model();
  run(due, [] { return true; });
  Model model = new_model();
  EXPECT_THROW(run(model, []() -> bool { throw 5; }), int);
  EXPECT_EQ(model.parameters, due.parameters);
}

TEST(DivergedTraining, LeavesTheModelAsItWas) {
  TrainOptions options = options_on("cpu");
  options.optimizer.learning_rate = 1e30F;
  options.loss = Loss::mse;
  Model model = Model::initialize(
      dense_autoencoder({28, 28}, {16}, Activation::relu, Activation::identity), 1);
  const std::vector<float> before = model.parameters;
  EXPECT_THROW(train(model, digits(), nullptr, options), Error);
  EXPECT_EQ(model.parameters, before);
}

}  // namespace
}  // namespace ae
