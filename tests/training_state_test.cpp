// A training's state: what is saved is what is loaded, and a training that goes on from it makes
// the bits of one that was never interrupted.

#include "train/training_state.hpp"

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ae/error.hpp"
#include "ae/train.hpp"

#include "error_message.hpp"
#include "executors/make_device.hpp"
#include "short_training.hpp"
#include "targets.hpp"
#include "temporary_folder.hpp"
#include "train/trainer.hpp"

namespace ae {
namespace {

using test::digits;
using test::error_of;
using test::says;
using test::TemporaryFolder;

/// A layer with running statistics and one with random numbers among them.
ModelSpec model_spec() {
  return parse_model({28, 28}, {"dense 20 identity", "batch_norm relu", "dropout 0.2", "dense 5"},
                     {"dense 20", "dense 784 sigmoid"});
}

/// Everything that keeps a state.
TrainOptions stateful(const std::string& device, std::int64_t epochs) {
  TrainOptions options;
  options.epochs = epochs;
  options.batch_size = 25;  // of 60 rows: the last batch is short
  options.seed = 3;
  options.ema_decay = 0.9F;
  options.clip_norm = 1;
  options.noise = {Noise::masking, 0.3F};
  options.schedule = {.kind = Schedule::plateau, .factor = 0.5F, .patience = 1};
  options.device = {.device = device, .threads = 1};
  return options;
}

class TrainingStateTest : public ::testing::TestWithParam<std::string> {
 protected:
  const Dataset data_ = digits().first(60);
  const Dataset validation_ = digits().first(20);
  TemporaryFolder folder_;
};

TEST_P(TrainingStateTest, ATrainingGoesOnWithTheSameBits) {
  const TrainOptions whole_options = stateful(GetParam(), 4);
  Model whole = Model::initialize(model_spec(), 7);
  const std::unique_ptr<Device> device = make_device(whole_options.device);
  Trainer without_stop(*device, whole, data_, &validation_, whole_options);
  const TrainResult expected = without_stop.run();

  const TrainOptions first_options = stateful(GetParam(), 2);
  Model model = Model::initialize(model_spec(), 7);
  {
    Trainer first(*device, model, data_, &validation_, first_options);
    first.run();
    first.state().save(folder_ / "state");
    EXPECT_EQ(TrainingState::load(folder_ / "state"), first.state());
  }
  Model other = Model::initialize(model_spec(), 8);  // all that it begins with must be replaced
  Trainer second(*device, other, data_, &validation_, whole_options);
  second.restore(TrainingState::load(folder_ / "state"));
  const TrainResult result = second.run();
  ASSERT_EQ(result.epochs.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const EpochResult& epoch = result.epochs[i];
    EXPECT_EQ(epoch.epoch, expected.epochs[i + 2].epoch);
    EXPECT_EQ(epoch.train_loss, expected.epochs[i + 2].train_loss);
    EXPECT_EQ(epoch.validation_loss, expected.epochs[i + 2].validation_loss);
    EXPECT_EQ(epoch.learning_rate, expected.epochs[i + 2].learning_rate);
  }
  EXPECT_EQ(other.parameters, whole.parameters);
  EXPECT_EQ(second.state(), without_stop.state());
}

INSTANTIATE_TEST_SUITE_P(Devices, TrainingStateTest, ::testing::Values("cpu", "simt"));

TEST(TrainingState, NamesWhatATrainingConsistsOf) {
  const TrainOptions options = stateful("cpu", 1);
  Model model = Model::initialize(model_spec(), 7);
  const std::unique_ptr<Device> device = make_device(options.device);
  const Dataset data = digits().first(60);
  Trainer trainer(*device, model, data, nullptr, options);
  const TrainingState before = trainer.state();
  EXPECT_EQ(before.counter("step"), 0);
  EXPECT_EQ(before.counter("epoch"), 0);
  std::vector<std::string> names;
  for (const io::Tensor& tensor : before.tensors) names.push_back(tensor.name);
  // Ten tensors are learnt and two kept; the optimiser has two states of what is learnt alone.
  EXPECT_EQ(names.size(), 12U + 10U + 10U + 12U);
  for (const char* name :
       {"model.encoder.0.weight", "model.encoder.1.running_var", "optimizer.first.encoder.1.weight",
        "optimizer.second.decoder.1.bias", "average.encoder.1.running_mean"}) {
    EXPECT_NE(std::find(names.begin(), names.end(), name), names.end()) << name;
  }
  trainer.run();
  const TrainingState after = trainer.state();
  EXPECT_EQ(after.counter("step"), 3);
  EXPECT_EQ(after.counter("epoch"), 1);
  EXPECT_NE(after, before);
}

TEST(TrainingState, RefusesAStateThatDoesNotFit) {
  const TemporaryFolder folder;
  const TrainOptions options = stateful("cpu", 1);
  Model model = Model::initialize(model_spec(), 7);
  const std::unique_ptr<Device> device = make_device(options.device);
  const Dataset data = digits().first(60);
  Trainer trainer(*device, model, data, nullptr, options);
  trainer.run();
  const TrainingState state = trainer.state();

  const auto refusal = [&](const ModelSpec& spec, const TrainOptions& with) {
    Model other = Model::initialize(spec, 7);
    Trainer fresh(*device, other, data, nullptr, with);
    const TrainingState before = fresh.state();
    std::string message = error_of([&] { fresh.restore(state); });
    EXPECT_EQ(fresh.state(), before);
    return message;
  };
  EXPECT_TRUE(says(refusal(dense_autoencoder({28, 28}, {9}), options), "encoder.0.weight"));
  TrainOptions smaller = options;
  smaller.batch_size = 7;
  EXPECT_TRUE(says(refusal(model_spec(), smaller), "steps an epoch"));
  TrainingState without = state;
  without.counters.erase("epoch");
  EXPECT_TRUE(says(error_of([&] { trainer.restore(without); }), "no epoch"));

  save_model(model, folder / "model");
  EXPECT_TRUE(says(error_of([&] { TrainingState::load(folder / "model"); }), "not written by ae"));
  state.save(folder / "state");
  EXPECT_TRUE(says(error_of([&] { load_model(folder / "state"); }), "not a model"));
  std::filesystem::resize_file(folder / "state", std::filesystem::file_size(folder / "state") - 1);
  EXPECT_FALSE(error_of([&] { TrainingState::load(folder / "state"); }).empty());
}

}  // namespace
}  // namespace ae
