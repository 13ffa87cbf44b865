// Trainings of models with tied weights: what both ends make of one weight, on every device, with
// any number of threads, and in the average of the weights.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ae/dataset.hpp"
#include "ae/infer.hpp"
#include "ae/model.hpp"
#include "ae/train.hpp"

#include "short_training.hpp"
#include "targets.hpp"

namespace ae {
namespace {

using test::digits;
using test::options_on;

ModelSpec tied(bool is_tied = true) {
  return dense_autoencoder({28, 28}, {40, 9}, Activation::tanh, Activation::sigmoid, is_tied);
}

/// The same model without ties: each tied weight is copied out, transposed.
Model untied(const Model& model) {
  Model copy = Model::initialize(tied(/*is_tied=*/false), 1);
  const std::vector<LayerSlice> from = layer_slices(model.spec);
  const std::vector<LayerSlice> to = layer_slices(copy.spec);
  for (std::size_t layer = 0; layer < from.size(); ++layer) {
    const auto source = [&](std::int64_t at) {
      return model.parameters[static_cast<std::size_t>(at)];
    };
    const auto target = [&](std::int64_t at) -> float& {
      return copy.parameters[static_cast<std::size_t>(at)];
    };
    const auto [inputs, units] = std::pair(from[layer].inputs, from[layer].units);
    for (std::int64_t i = 0; i < inputs; ++i) {
      for (std::int64_t unit = 0; unit < units; ++unit) {
        const bool is_tied = from[layer].partner.has_value();
        const TensorSlice& weight =
            is_tied ? from[layer].partner_weight : from[layer].tensor("weight");
        target(to[layer].tensor("weight").offset + i * units + unit) =
            source(weight.offset + (is_tied ? unit * inputs + i : i * units + unit));
      }
    }
    for (std::int64_t unit = 0; unit < units; ++unit) {
      target(to[layer].tensor("bias").offset + unit) =
          source(from[layer].tensor("bias").offset + unit);
    }
  }
  return copy;
}

/// What is saved is the average of the weights, which a network of its own judges: it must find the
/// weights of the moment there, as must all that use the model later.
TEST(TiedTraining, JudgesAndSavesTheAverage) {
  const Dataset data = digits();
  const Dataset held_out = data.first(70);
  TrainOptions options = options_on("cpu");
  options.epochs = 4;
  options.ema_decay = 0.9F;
  options.optimizer.learning_rate = 0.005F;
  Model model = Model::initialize(tied(), 1);
  const TrainResult result = train(model, data, &held_out, options);
  EXPECT_LT(result.epochs.back().validation_loss, 0.8 * result.epochs.front().validation_loss);
  const DeviceOptions device{"cpu", 1};
  EXPECT_EQ(evaluate(model, held_out, {}, device).loss, result.epochs.back().validation_loss);

  const Model copy = untied(model);
  EXPECT_EQ(evaluate(copy, held_out, {}, device).loss, result.epochs.back().validation_loss);
  const std::vector<float> codes = encode(model, held_out, device);
  EXPECT_EQ(codes, encode(copy, held_out, device));
  const Dataset of_codes("codes", {9}, codes);
  EXPECT_EQ(decode(model, of_codes, device), decode(copy, of_codes, device));
  EXPECT_EQ(decode(model, of_codes, device), reconstruct(model, held_out, device));
}

TEST(TiedTraining, LearnsWithTheSameBitsForAnyThreads) {
  const Dataset data = digits();
  std::vector<std::vector<float>> models;
  for (const int threads : {1, 2, 3}) {
    Model model = Model::initialize(tied(), 1);
    TrainOptions options = options_on("cpu", threads);
    options.clip_norm = 0.1F;
    train(model, data, &data, options);
    models.push_back(model.parameters);
  }
  EXPECT_EQ(models[0], models[1]);
  EXPECT_EQ(models[0], models[2]);
}

/// Each transposition is judged, and what goes on is the CPU's.
TEST(TiedTraining, CheckComparesOperationByOperation) {
  test::expect_checked(tied(), {"decoder.0 transpose to", "decoder.0 transpose sum",
                                "decoder.1 transpose to", "decoder.1 transpose sum"});
}

class TiedTrainingOn : public ::testing::TestWithParam<test::Target> {};

INSTANTIATE_TEST_SUITE_P(Devices, TiedTrainingOn, ::testing::ValuesIn(test::devices()),
                         test::test_name);

/// Of two whole batches and a short one, with all that reads gradients after they are summed up.
TEST_P(TiedTrainingOn, IsTheCpus) {
  const Dataset data = digits().first(40);
  const auto trained = [&](const DeviceOptions& device) {
    const std::unique_ptr<test::EnvironmentVariable> instruction_set = GetParam().choose();
    Model model = Model::initialize(tied(), 1);
    TrainOptions options = options_on("cpu");
    options.batch_size = 16;
    options.clip_norm = 0.1F;
    options.ema_decay = 0.5F;
    options.device = device;
    const TrainResult result = train(model, data, &data, options);
    return std::pair(model.parameters, result.epochs.back().validation_loss);
  };
  const auto [parameters, loss] = trained(GetParam().options);
  const auto [expected, expected_loss] = trained({.device = "cpu", .threads = 1});
  EXPECT_NEAR(loss, expected_loss, 1e-5 * expected_loss);
  ASSERT_EQ(parameters.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(parameters[i], expected[i], 1e-4F) << "parameter " << i;
  }
}

}  // namespace
}  // namespace ae
