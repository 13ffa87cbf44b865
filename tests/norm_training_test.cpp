// Trainings of models with dropout and normalisation: what happens in training alone, and what is
// kept for after it.

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ae/dataset.hpp"
#include "ae/infer.hpp"
#include "ae/model.hpp"
#include "ae/train.hpp"

#include "short_training.hpp"

namespace ae {
namespace {

using test::digits;
using test::options_on;

ModelSpec normalised() {
  return parse_model({28, 28}, {"dense 24 identity", "batch_norm relu", "dropout 0.1", "dense 8"},
                     {"layer_norm identity", "dense 784 sigmoid"});
}

/// The running mean and variance are those of the data, however strong the weight decay.
TEST(NormTraining, RunningStatisticsAreOfTheDataAndOfNothingElse) {
  const Dataset data = digits().first(60);
  const ModelSpec spec = parse_model({28, 28}, {"batch_norm identity", "dense 4"}, {"dense 784"});
  Model model = Model::initialize(spec, 1);
  TrainOptions options = options_on("cpu");
  options.epochs = 3;
  options.batch_size = 60;
  options.optimizer = {.kind = Optimizer::adamw, .learning_rate = 0.01F, .weight_decay = 1};
  train(model, data, nullptr, options);
  // One channel: all pixels of all images.
  double mean = 0;
  double square = 0;
  std::vector<float> row(784);
  for (std::int64_t i = 0; i < data.rows(); ++i) {
    data.copy_row(i, row);
    for (const float value : row) {
      mean += static_cast<double>(value) / (60 * 784);
      square += static_cast<double>(value) * static_cast<double>(value) / (60 * 784);
    }
  }
  const double variance = (square - mean * mean) * (60 * 784) / (60 * 784 - 1);
  const LayerSlice slice = layer_slices(spec).front();
  const double kept = std::pow(0.9, 3);
  const auto number = [&](const char* tensor) {
    return model.parameters[static_cast<std::size_t>(slice.tensor(tensor).offset)];
  };
  EXPECT_EQ(slice.tensors.size(), 4U);
  EXPECT_NEAR(number("running_mean"), (1 - kept) * mean, 1e-5);
  EXPECT_NEAR(number("running_var"), kept + (1 - kept) * variance, 1e-5);
  EXPECT_LT(number("weight"), 1.0F);  // this one decays
}

/// After training, a row's code depends on the row alone, and nothing is drawn.
TEST(NormTraining, EachRowIsByItselfAfterwards) {
  const Dataset data = digits().first(96);
  Model model = Model::initialize(normalised(), 1);
  train(model, data, nullptr, options_on("cpu"));
  const DeviceOptions device{"cpu", 1};
  const std::vector<float> all = encode(model, data, device);
  const std::vector<float> some = encode(model, data.first(5), device);
  EXPECT_EQ(some, std::vector<float>(all.begin(), all.begin() + 5 * 8));
  const std::vector<double> losses = evaluate(model, data, {.per_row = true}, device).row_losses;
  const std::vector<double> again =
      evaluate(model, data.first(5), {.per_row = true}, device).row_losses;
  EXPECT_EQ(again, std::vector<double>(losses.begin(), losses.begin() + 5));
}

TEST(NormTraining, LearnsWithTheSameBitsForAnyThreads) {
  const Dataset data = digits();
  std::vector<std::vector<float>> models;
  for (const int threads : {1, 2, 3}) {
    Model model = Model::initialize(normalised(), 1);
    TrainOptions options = options_on("cpu", threads);
    options.epochs = 4;
    options.optimizer.learning_rate = 0.005F;
    const TrainResult result = train(model, data, &data, options);
    EXPECT_LT(result.epochs.back().train_loss, 0.8 * result.epochs.front().train_loss);
    EXPECT_LT(result.epochs.back().validation_loss, result.epochs.front().validation_loss);
    models.push_back(model.parameters);
  }
  EXPECT_EQ(models[0], models[1]);
  EXPECT_EQ(models[0], models[2]);
}

/// Each output of each operation is judged, and what goes on is the CPU's.
TEST(NormTraining, CheckComparesOperationByOperation) {
  test::expect_checked(
      normalised(), {"encoder.1 batch norm y", "encoder.1 batch norm mean, variance",
                     "encoder.1 batch norm running", "encoder.1 batch norm backward dz",
                     "encoder.1 batch norm backward dgamma", "encoder.1 batch norm backward dbeta",
                     "encoder.1 batch norm backward dx", "encoder.2 dropout y",
                     "encoder.2 dropout backward dx", "decoder.0 layer norm y",
                     "decoder.0 layer norm mean, rstd", "decoder.0 layer norm backward dx"});
}

TEST(NormTraining, IsTheSameOnTheEmulatedDevice) {
  const Dataset data = digits().first(40);
  std::vector<std::vector<float>> models;
  for (const char* device : {"cpu", "simt", "simt:reverse"}) {
    Model model = Model::initialize(normalised(), 1);
    TrainOptions options = options_on(device, 0);
    options.epochs = 1;
    options.batch_size = 16;
    train(model, data, nullptr, options);
    models.push_back(model.parameters);
  }
  EXPECT_EQ(models[1], models[2]);
  for (std::size_t i = 0; i < models[0].size(); ++i) {
    ASSERT_NEAR(models[0][i], models[1][i], 2e-4) << i;
  }
}

}  // namespace
}  // namespace ae
