// The first five steps of some trainings, as PyTorch ran them: losses, gradients and parameters.
// tools/make_pytorch_trace.py recorded them; it computes the same weights, data and orders of rows
// from the same seeds. And what PyTorch's own optimisers, clipping, average and schedules make of a
// small one.

#include <cstdint>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "ae/dataset.hpp"
#include "ae/model.hpp"
#include "ae/train.hpp"

#include "device/device.hpp"
#include "formulas/philox.hpp"
#include "model/network.hpp"
#include "targets.hpp"
#include "test_data.hpp"
#include "train/evaluation.hpp"
#include "train/learning_rate.hpp"

namespace ae {
namespace {

using nlohmann::json;
using test::Target;

const json& trace() {
  static const json loaded = [] {
    std::ifstream file(test::test_data("pytorch_trace.json"));
    return json::parse(file);
  }();
  return loaded;
}

/// Grey values, about a fifth of them not zero.
Dataset synthetic_data(std::int64_t rows, std::int64_t inputs, std::uint64_t seed) {
  std::vector<std::uint8_t> values(static_cast<std::size_t>(rows * inputs));
  const Philox philox(seed);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint32_t word = philox.word(RandomPurpose::synthetic_data, 0, i);
    values[i] = (word & 0xFFU) < 51 ? static_cast<std::uint8_t>(word >> 24U) : std::uint8_t{0};
  }
  return {"synthetic bytes", {inputs}, std::move(values)};
}

/// A tensor by its name in a model file, in a buffer laid out by layer_slices.
std::vector<double> tensor_of(const ModelSpec& spec, const std::vector<float>& buffer,
                              const std::string& name) {
  for (const LayerSlice& slice : layer_slices(spec)) {
    for (const TensorSlice& tensor : slice.tensors) {
      if (name != slice.name + "." + tensor.name) continue;
      const auto begin = buffer.begin() + tensor.offset;
      return {begin, begin + tensor.size()};
    }
  }
  ADD_FAILURE() << "the model has no " << name;
  return {};
}

/// A training of the trace, up to any of its steps.
class Replay {
 public:
  Replay(const Target& target, const json& recorded)
      : target_(target),
        recorded_(recorded),
        loss_(parse_loss(recorded["loss"].get<std::string>())),
        reduction_(parse_reduction(recorded["reduction"].get<std::string>())),
        inputs_(recorded["inputs"]),
        spec_(
            dense_autoencoder({inputs_}, recorded["hidden"].get<std::vector<std::int64_t>>(),
                              parse_activation(recorded["activation"].get<std::string>()),
                              parse_activation(recorded["output_activation"].get<std::string>()))),
        data_(synthetic_data(recorded["rows"], inputs_, recorded["data_seed"])) {}

  /// The model after so many steps of a training that is then told to stop.
  [[nodiscard]] Model model_after(std::int64_t steps) const {
    const auto seed = recorded_["seed"].get<std::uint64_t>();
    Model model = Model::initialize(spec_, seed);
    if (steps == 0) return model;
    TrainOptions options = train_options();
    std::int64_t done = 0;
    options.stop_requested = [&] { return ++done == steps; };
    const std::unique_ptr<test::EnvironmentVariable> instruction_set = target_.choose();
    EXPECT_TRUE(train(model, data_, nullptr, options).interrupted);
    return model;
  }

  /// The loss that training reports for the first epoch.
  [[nodiscard]] double first_epoch_loss() const {
    Model model = Model::initialize(spec_, recorded_["seed"].get<std::uint64_t>());
    TrainOptions options = train_options();
    options.epochs = 1;
    const std::unique_ptr<test::EnvironmentVariable> instruction_set = target_.choose();
    return train(model, data_, nullptr, options).epochs.at(0).train_loss;
  }

  struct Pass {
    double loss = 0;
    std::vector<float> gradients;
  };

  /// Forward and backward through `model` for the given rows.
  [[nodiscard]] Pass pass(const Model& model, const std::vector<std::int64_t>& rows) const {
    const auto batch = static_cast<std::int64_t>(rows.size());
    const auto width = static_cast<std::size_t>(inputs_);
    std::vector<float> samples(rows.size() * width);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      data_.copy_row(rows[i], std::span(samples).subspan(i * width, width));
    }
    const double divisor = loss_divisor(reduction_, batch, inputs_);

    const std::unique_ptr<Device> device = target_.make();
    const Parameters parameters(*device, model);
    Network network(*device, spec_, parameters, batch, Network::Use::training);
    DeviceArray<float> x(*device, batch * inputs_);
    x.upload(samples);
    DeviceArray<float> gradients(*device, parameters.size());
    DeviceArray<double> loss_sum(*device, 1);
    const Matrix input{x.data(), batch, inputs_};
    Step step;
    const Matrix logits = network.run_to_logits(step, input, data_.density());
    network.backward(step, logits, input,
                     {.loss = loss_, .gradient_scale = static_cast<float>(1 / divisor)}, {},
                     gradients.data(), {.loss = loss_sum.tensor()});
    device->run(step);

    Pass result;
    loss_sum.download({&result.loss, 1});
    result.loss /= divisor;
    result.gradients.resize(static_cast<std::size_t>(gradients.size()));
    gradients.download(result.gradients);
    return result;
  }

  /// Compares every tensor in `due` with its place in `buffer`.
  void expect_equal(const std::vector<float>& buffer, const json& due) const {
    for (const auto& [name, tensor] : due.items()) {
      SCOPED_TRACE(name);
      const std::vector<double> actual = tensor_of(spec_, buffer, name);
      // PyTorch's own float32 is so far from its double at the worst element. Ours sums in another
      // order, so its worst may be a few times that. In the tensor's sum all may point the same
      // way. What was recorded has nine digits.
      const double error = 4 * tensor["float32_error"].get<double>() + 1e-9;
      const auto places = recorded_["sampled"][name].get<std::vector<std::size_t>>();
      const auto values = tensor["values"].get<std::vector<double>>();
      ASSERT_EQ(places.size(), values.size());
      for (std::size_t i = 0; i < places.size(); ++i) {
        EXPECT_NEAR(actual.at(places[i]), values[i], error) << "element " << places[i];
      }
      double sum = 0;
      for (const double value : actual) sum += value;
      EXPECT_NEAR(sum, tensor["sum"].get<double>(), error * static_cast<double>(actual.size()))
          << "sum";
    }
  }

 private:
  [[nodiscard]] TrainOptions train_options() const {
    TrainOptions options;
    options.epochs = 10;
    options.batch_size = recorded_["batch_size"];
    options.seed = recorded_["seed"];
    options.loss = loss_;
    options.reduction = reduction_;
    OptimizerOptions& optimizer = options.optimizer;
    optimizer.kind = parse_optimizer(recorded_.value("optimizer", "adam"));
    optimizer.learning_rate = recorded_["learning_rate"];
    optimizer.epsilon = recorded_.value("epsilon", optimizer.epsilon);
    optimizer.momentum = recorded_.value("momentum", optimizer.momentum);
    optimizer.rho = recorded_.value("rho", optimizer.rho);
    optimizer.weight_decay = recorded_.value("weight_decay", 0.0F);
    options.clip_norm = recorded_.value("clip_norm", 0.0F);
    options.ema_decay = recorded_.value("ema_decay", 0.0F);
    options.device = target_.options;
    return options;
  }

  const Target& target_;
  const json& recorded_;
  Loss loss_;
  Reduction reduction_;
  std::int64_t inputs_;
  ModelSpec spec_;
  Dataset data_;
};

class PyTorchTraceTest : public ::testing::TestWithParam<Target> {
 protected:
  void replay(const std::string& name) {
    for (const json& recorded : trace()["cases"]) {
      if (recorded["name"] != name) continue;
      const Replay replay(GetParam(), recorded);
      double first_epoch_sum = 0;
      std::int64_t step_number = 0;
      for (const json& step : recorded["steps"]) {
        SCOPED_TRACE("step " + std::to_string(step_number + 1));
        const auto rows = step["rows"].get<std::vector<std::int64_t>>();
        const auto loss = step["loss"].get<double>();
        const Replay::Pass pass = replay.pass(replay.model_after(step_number), rows);
        EXPECT_NEAR(pass.loss, loss, 1e-6 * loss);
        replay.expect_equal(pass.gradients, step["gradients"]);
        ++step_number;
        replay.expect_equal(replay.model_after(step_number).parameters, step["parameters"]);
        if (step_number <= 3) first_epoch_sum += loss * static_cast<double>(rows.size());
      }
      const double first_epoch = first_epoch_sum / recorded["rows"].get<double>();
      EXPECT_NEAR(replay.first_epoch_loss(), first_epoch, 1e-6 * first_epoch);
      return;
    }
    ADD_FAILURE() << "the trace has no training " << name;
  }
};

INSTANTIATE_TEST_SUITE_P(Devices, PyTorchTraceTest, ::testing::ValuesIn(test::devices()),
                         test::test_name);

TEST_P(PyTorchTraceTest, TheKerasExampleIsTheSame) {
  replay("keras");
}
TEST_P(PyTorchTraceTest, ADeepModelWithTanhAndMeanSquaredErrorIsTheSame) {
  replay("deep");
}
TEST_P(PyTorchTraceTest, TheSummedSquaredErrorIsTheSame) {
  replay("textbook");
}

/// Every optimiser, with weight decay and momentum where it has them; clipping; the average.
TEST_P(PyTorchTraceTest, UpdatesAreThoseOfPyTorch) {
  const json& updates = trace()["updates"];
  EXPECT_EQ(updates.size(), 9U);
  for (const json& recorded : updates) {
    SCOPED_TRACE(recorded["name"]);
    const Replay replay(GetParam(), recorded);
    replay.expect_equal(replay.model_after(recorded["steps"]).parameters, recorded["parameters"]);
  }
}

TEST(PyTorchSchedules, AreTheSame) {
  const json& schedules = trace()["schedules"];
  EXPECT_EQ(schedules.size(), 5U);
  for (const json& recorded : schedules) {
    SCOPED_TRACE(recorded.dump());
    TrainOptions options;
    options.epochs = recorded["epochs"];
    options.optimizer.learning_rate = recorded["learning_rate"];
    ScheduleOptions& schedule = options.schedule;
    schedule.kind = parse_schedule(recorded["schedule"].get<std::string>());
    schedule.warm_up = recorded.value("warm_up", 0.0F);
    schedule.factor = recorded.value("factor", schedule.factor);
    schedule.step_epochs = recorded.value("step_epochs", schedule.step_epochs);
    schedule.patience = recorded.value("patience", schedule.patience);
    schedule.floor = recorded.value("floor", 0.0F);
    const std::int64_t steps_per_epoch = recorded["steps_per_epoch"];
    LearningRate learning_rate(options, steps_per_epoch);

    const auto losses = recorded.value("losses", std::vector<double>());
    const auto due = recorded["rates"].get<std::vector<double>>();
    std::vector<double> rates;
    for (const double loss : losses) {
      rates.push_back(learning_rate.at(static_cast<std::int64_t>(rates.size()) + 1, 0));
      learning_rate.end_epoch(loss);
    }
    for (std::int64_t epoch = 1; losses.empty() && epoch <= options.epochs; ++epoch) {
      for (std::int64_t step = 0; step < steps_per_epoch; ++step) {
        rates.push_back(learning_rate.at(epoch, step));
      }
    }
    ASSERT_EQ(rates.size(), due.size());
    for (std::size_t i = 0; i < due.size(); ++i) EXPECT_NEAR(rates[i], due[i], 1e-8 * due[i]) << i;
  }
}

}  // namespace
}  // namespace ae
