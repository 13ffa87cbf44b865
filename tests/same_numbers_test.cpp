// The seed model's training on real digits, on every device beside the CPU: the same weights, the
// same batches, and so nearly the same losses and the same model at the end.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ae/dataset.hpp"
#include "ae/error.hpp"
#include "ae/model.hpp"
#include "ae/train.hpp"

#include "device/device.hpp"
#include "model/network.hpp"
#include "targets.hpp"
#include "train/evaluation.hpp"
#include "train/shuffle.hpp"

namespace ae {
namespace {

using test::Target;

Model seed_model() {
  return Model::initialize(dense_autoencoder({28, 28}, {32}), 1);
}

/// The mean loss of each of the first `steps` batches, one step after the other.
std::vector<double> step_losses(Device& device, const Dataset& data, std::int64_t batch,
                                std::int64_t steps) {
  const Model model = seed_model();
  const std::unique_ptr<ResidentData> resident = device.make_resident(data);
  std::vector<std::int32_t> order(static_cast<std::size_t>(data.rows()));
  shuffle_rows(1, 1, order);
  DeviceArray<std::int32_t> permutation(device, data.rows());
  permutation.upload(order);
  const DeviceArray<std::int64_t> step_count(device, 1);
  DeviceArray<double> loss_sum(device, 1);
  const DeviceArray<float> inputs(device, batch * data.row_size());
  const Parameters parameters(device, model);
  const DeviceArray<float> gradients(device, parameters.size());
  const DeviceArray<float> m(device, parameters.size());
  const DeviceArray<float> v(device, parameters.size());
  Network network(device, model.spec, parameters, batch, Network::Use::training);

  const Matrix x{inputs.data(), batch, data.row_size()};
  const double elements = loss_divisor(Reduction::mean, batch, data.row_size());
  Step operations;
  operations.add(GatherBatch{.data = resident.get(),
                             .permutation = permutation.tensor(),
                             .step = step_count.tensor(),
                             .steps_per_epoch = data.rows() / batch,
                             .batch_size = batch,
                             .x = x});
  const Matrix logits = network.run_to_logits(operations, x, data.density());
  network.backward(operations, logits, x, {.gradient_scale = static_cast<float>(1 / elements)}, {},
                   gradients.data(), {.loss = loss_sum.tensor()});
  operations.add(OptimizerStep{.parameters = vector_of(parameters.data(), parameters.size()),
                               .gradients = gradients.tensor(),
                               .first = m.tensor(),
                               .second = v.tensor(),
                               .step = step_count.tensor()});
  const std::unique_ptr<Program> step = device.compile(operations);
  std::vector<double> losses;
  for (std::int64_t i = 0; i < steps; ++i) {
    loss_sum.clear();
    step->replay(1);
    double sum = 0;
    loss_sum.download({&sum, 1});
    losses.push_back(sum / elements);
  }
  return losses;
}

class SameNumbersTest : public ::testing::TestWithParam<Target> {
 protected:
  void SetUp() override {
    try {
      digits_ = load_named("mnist").train;
    } catch (const Error& error) {
      GTEST_SKIP() << "MNIST is not here: " << error.what();
    }
  }

  /// The emulated device is given smaller batches of the same model.
  [[nodiscard]] static std::int64_t batch() { return GetParam().affordable(256, 16); }

  Dataset digits_;
};

INSTANTIATE_TEST_SUITE_P(Devices, SameNumbersTest, ::testing::ValuesIn(test::devices()),
                         test::test_name);

/// The emulated device takes most of a minute for them, so only in one order of its threads, and
/// not again under sanitizers.
TEST_P(SameNumbersTest, TheFirstTwoHundredLossesAreTheCpus) {
  const std::string& device = GetParam().options.device;
  const bool is_quick =
      device.starts_with("simt:") || (device == "simt" && test::simt_orders().size() == 1);
  const std::int64_t steps = is_quick ? 20 : 200;
  const Dataset data = digits_.first(steps * batch());
  const std::vector<double> losses = step_losses(*GetParam().make(), data, batch(), steps);
  const std::vector<double> expected =
      step_losses(*make_device({.device = "cpu", .threads = 1}), data, batch(), steps);
  ASSERT_EQ(losses.size(), expected.size());
  EXPECT_LT(losses.back(), losses.front());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(losses[i], expected[i], 1e-5 * expected[i]) << "step " << i + 1;
  }
}

/// An epoch of many steps, the last one short. Rounding differs between devices by an ulp here and
/// there, and Adam makes of a gradient's sign a whole step where the gradient is next to nothing;
/// the weights, of about 0.1, stay together to this bound all the same.
TEST_P(SameNumbersTest, TheWeightsAfterAnEpochAreTheCpus) {
  constexpr float kBound = 1e-4F;
  const Dataset data = digits_.first(40 * batch() + 7);
  const auto trained = [&](const DeviceOptions& device) {
    const std::unique_ptr<test::EnvironmentVariable> instruction_set = GetParam().choose();
    Model model = seed_model();
    TrainOptions options;
    options.epochs = 1;
    options.batch_size = batch();
    options.device = device;
    train(model, data, nullptr, options);
    return model.parameters;
  };
  const std::vector<float> weights = trained(GetParam().options);
  const std::vector<float> expected = trained({.device = "cpu", .threads = 1});
  ASSERT_EQ(weights.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(weights[i], expected[i], kBound) << "parameter " << i;
  }
}

}  // namespace
}  // namespace ae
