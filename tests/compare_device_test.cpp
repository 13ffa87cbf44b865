// The check device: that devices which agree are said to, and that whatever one of them puts out
// wrong is found, by name, place and value, and harms nothing after it.

#include "executors/compare_device.hpp"

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "ae/dataset.hpp"
#include "ae/model.hpp"
#include "ae/train.hpp"

#include "device/cpu/cpu_device.hpp"
#include "device/device.hpp"
#include "error_message.hpp"
#include "executors/checked_output.hpp"
#include "guarded.hpp"
#include "numbers.hpp"
#include "train/trainer.hpp"

namespace ae {
namespace {

using test::error_of;
using test::Numbers;
using test::same_bits;
using test::says;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::unique_ptr<Device> cpu() {
  return make_cpu_device(1);
}

/// An element of one call's output, made wrong.
struct Mistake {
  std::string output;  ///< as CheckedOutput names it
  std::int64_t call = 1;
  std::int64_t element = 0;
  double value = 0;
};

/// The CPU with a mistake in it.
class MistakenDevice final : public Device {
 public:
  explicit MistakenDevice(Mistake mistake) : mistake_(std::move(mistake)) {}

  [[nodiscard]] std::string name() const override { return "mistaken"; }
  [[nodiscard]] void* allocate(std::size_t bytes) override { return cpu_->allocate(bytes); }
  void deallocate(void* memory) noexcept override { cpu_->deallocate(memory); }
  void upload(void* to, const void* from, std::size_t bytes) override {
    cpu_->upload(to, from, bytes);
  }
  void download(void* to, const void* from, std::size_t bytes) override {
    cpu_->download(to, from, bytes);
  }
  void clear(void* memory, std::size_t bytes) override { cpu_->clear(memory, bytes); }
  [[nodiscard]] double peek(const double*) const override { return kNaN; }
  void synchronize() override { cpu_->synchronize(); }
  [[nodiscard]] std::unique_ptr<ResidentData> make_resident(const Dataset& data) override {
    return cpu_->make_resident(data);
  }

  [[nodiscard]] std::unique_ptr<Program> compile(const Step& step) override {
    return cpu_->compile(step);
  }
  void run(const Step& step) override {
    cpu_->run(step);
    for (const Node& node : step.nodes()) {
      std::visit([&](const auto& op) { put_out(op, node.layer); }, node.op);
    }
  }

 private:
  template <typename Operation>
  void put_out(const Operation& op, std::string_view layer) {
    for_each_operand(op, [&](Operand operand, const auto& tensor) {
      if (!operand.is_written()) return;
      std::string name(layer);
      name.append(name.empty() ? "" : " ").append(op.kName).append(" ").append(operand.name);
      if (name == mistake_.output && ++calls_ == mistake_.call) spoil(tensor);
    });
  }
  template <typename T>
  void spoil(const Tensor<T>& tensor) const {
    if constexpr (!std::is_const_v<T>) {
      tensor.data[mistake_.element] = static_cast<T>(mistake_.value);
    }
  }

  std::unique_ptr<Device> cpu_ = cpu();
  Mistake mistake_;
  std::int64_t calls_ = 0;
};

// ── Trainings ───────────────────────────────────────────────────────────────────────────────────

constexpr std::int64_t kRows = 100;
constexpr std::int64_t kInputs = 20;
constexpr std::int64_t kBatch = 32;  // three whole batches in an epoch, one of 4 rows
constexpr std::int64_t kEpochs = 2;
constexpr std::int64_t kSteps = 8;

/// Trains the same small model each time, 20 → 12 → 5 → 12 → 20.
std::vector<float> trained_on(Device& device) {
  const Dataset data("rows", {kInputs}, Numbers(31).sparse_matrix(kRows, kInputs, 0.4F).values);
  const Dataset validation = data.first(10);
  TrainOptions options;
  options.epochs = kEpochs;
  options.batch_size = kBatch;
  options.optimizer.learning_rate = 0.01F;
  options.schedule.kind = Schedule::cosine;
  options.clip_norm = 0.01F;
  options.ema_decay = 0.5F;
  Model model = Model::initialize(dense_autoencoder({kInputs}, {12, 5}, Activation::tanh), 1);
  Trainer(device, model, data, &validation, options).run();
  return model.parameters;
}

struct CheckedTraining {
  std::vector<float> parameters;
  std::vector<CheckedOutput> outputs;
};

CheckedTraining checked_training(std::unique_ptr<Device> judged) {
  CheckedTraining training;
  std::unique_ptr<Device> check =
      make_compare_device(std::move(judged), cpu(), [&](std::span<const CheckedOutput> outputs) {
        training.outputs.assign(outputs.begin(), outputs.end());
      });
  training.parameters = trained_on(*check);
  return training;
}

const CheckedOutput& named(const std::vector<CheckedOutput>& outputs, std::string_view name) {
  for (const CheckedOutput& output : outputs) {
    if (output.name == name) return output;
  }
  throw std::runtime_error("no output is named " + std::string(name));
}

TEST(CompareDevice, EqualDevicesDifferNowhereAndTrainAsOneDoes) {
  const CheckedTraining training = checked_training(cpu());
  EXPECT_TRUE(same_bits<float>(training.parameters, trained_on(*cpu())));
  // Two gathers, 4 layers forward, 4·3 - 2 outputs backward, 3 of the loss, row losses, the clip's
  // scale, 5 of the update.
  EXPECT_EQ(training.outputs.size(), 26U);
  for (const CheckedOutput& output : training.outputs) {
    EXPECT_GT(output.calls, 0) << output.name;
    EXPECT_GT(output.elements, 0) << output.name;
    EXPECT_EQ(output.relative, 0) << output.name;
    EXPECT_EQ(output.difference, 0) << output.name;
    EXPECT_EQ(output.call, 0) << output.name;
  }
  EXPECT_EQ(named(training.outputs, "gather x").elements, kEpochs * kRows * kInputs);
  EXPECT_EQ(named(training.outputs, "gather rows x").calls, kEpochs);
  EXPECT_EQ(named(training.outputs, "encoder.0 forward y").calls, kSteps + kEpochs);
  EXPECT_EQ(named(training.outputs, "encoder.1 backward dw").elements, kSteps * 12 * 5);
  EXPECT_EQ(named(training.outputs, "update step").elements, kSteps);
}

TEST(CompareDevice, FindsAMistakeInAnyOutputAndLetsItSpreadToNoOther) {
  const std::vector<float> right = trained_on(*cpu());
  for (const std::string_view output :
       {"gather x", "gather rows x", "encoder.1 forward y", "decoder.1 forward y",
        "decoder.0 backward dw", "decoder.0 backward dx", "decoder.0 backward dbias below",
        "encoder.0 backward dw", "loss dz", "loss dbias", "loss sum", "row losses sums",
        "clip scale", "update parameters", "update first state", "update second state",
        "update average", "update step"}) {
    SCOPED_TRACE(output);
    const CheckedTraining training = checked_training(std::make_unique<MistakenDevice>(
        Mistake{.output = std::string(output), .call = 2, .value = 1000}));
    EXPECT_TRUE(same_bits<float>(training.parameters, right));
    const CheckedOutput& worst = training.outputs.front();
    EXPECT_EQ(worst.name, output);
    EXPECT_EQ(worst.call, 2);
    EXPECT_EQ(worst.row, 0);
    EXPECT_EQ(worst.col, 0);
    EXPECT_EQ(worst.judged, 1000);
    EXPECT_NE(worst.reference, 1000);
    EXPECT_EQ(worst.difference, std::abs(1000 - worst.reference));
    for (std::size_t i = 1; i < training.outputs.size(); ++i) {
      EXPECT_EQ(training.outputs[i].relative, 0) << training.outputs[i].name;
    }
  }
}

TEST(CompareDevice, SaysWhereInAMatrixTheMistakeIs) {
  constexpr std::int64_t kUnits = 12;
  const CheckedTraining training = checked_training(std::make_unique<MistakenDevice>(Mistake{
      .output = "encoder.0 forward y", .call = 3, .element = 7 * kUnits + 4, .value = -50}));
  const CheckedOutput& worst = training.outputs.front();
  EXPECT_EQ(worst.name, "encoder.0 forward y");
  EXPECT_EQ(worst.call, 3);
  EXPECT_EQ(worst.row, 7);
  EXPECT_EQ(worst.col, 4);
  EXPECT_EQ(worst.judged, -50);
  EXPECT_LT(std::abs(worst.reference), 1);  // of a tanh
  EXPECT_GE(worst.relative, worst.difference);
}

TEST(CompareDevice, FindsNaN) {
  const CheckedTraining training = checked_training(std::make_unique<MistakenDevice>(
      Mistake{.output = "loss dz", .element = 5, .value = static_cast<double>(kNaN)}));
  const CheckedOutput& worst = training.outputs.front();
  EXPECT_EQ(worst.name, "loss dz");
  EXPECT_EQ(worst.relative, kInfinity);
  EXPECT_EQ(worst.difference, kInfinity);
  EXPECT_EQ(worst.col, 5);
  EXPECT_TRUE(std::isnan(worst.judged));
  EXPECT_TRUE(std::isfinite(worst.reference));
  EXPECT_EQ(training.outputs[1].relative, 0);
}

TEST(CompareDevice, EndsWithoutAWordWhereNobodyListensOrTheListenerThrows) {
  EXPECT_NO_THROW(make_compare_device(cpu(), cpu(), nullptr).reset());
  EXPECT_NO_THROW(make_compare_device(cpu(), cpu(), [](std::span<const CheckedOutput>) {
                    throw std::runtime_error("stderr is closed");
                  }).reset());
}

// ── Memory ──────────────────────────────────────────────────────────────────────────────────────

TEST(CompareDevice, MemoryIsFoundFromAnywhereWithinIt) {
  const std::unique_ptr<Device> check = make_compare_device(cpu(), cpu(), nullptr);
  const DeviceArray<float> before(*check, 16);
  DeviceArray<float> array(*check, 64);
  const DeviceArray<float> behind(*check, 16);
  const std::vector<float> numbers = Numbers(32).vector(64);
  array.upload(numbers);
  std::vector<float> part(3);
  check->download(part.data(), array.data() + 61, 3 * sizeof(float));
  EXPECT_TRUE(same_bits<float>(part, std::span(numbers).last(3)));

  check->clear(array.data() + 1, 2 * sizeof(float));
  check->upload(array.data() + 5, part.data(), sizeof(float));
  std::vector<float> expected = numbers;
  expected[1] = expected[2] = 0;
  expected[5] = part[0];
  std::vector<float> all(64);
  array.download(all);
  EXPECT_TRUE(same_bits<float>(all, expected));

  check->download(part.data(), array.data() + 64, 0);  // nothing, at its end
  for (const DeviceArray<float>* other : {&before, &behind}) {
    std::vector<float> zeros(16, 1);
    other->download(zeros);
    EXPECT_EQ(zeros, std::vector<float>(16));
  }
}

TEST(CompareDevice, OperationsWorkWithinBlocks) {
  std::vector<CheckedOutput> outputs;
  std::unique_ptr<Device> check = make_compare_device(
      std::make_unique<MistakenDevice>(
          Mistake{.output = "encoder.0 forward y", .element = 3, .value = 9}),
      cpu(), [&](std::span<const CheckedOutput> all) { outputs.assign(all.begin(), all.end()); });
  {
    const test::Floats x(*check, std::array{1.0F, 2.0F});
    const test::Floats w(*check, std::array{1.0F, 0.0F, 0.0F, 4.0F});
    const test::Floats y(*check, 4);
    check->run(DenseForward{.x = x.matrix(2, 1), .w = {w.data() + 2, 1, 2}, .y = y.matrix(2, 2)},
               "encoder.0");
    EXPECT_EQ(y.read(), (std::vector<float>{0, 4, 0, 8}));
  }
  check.reset();
  ASSERT_EQ(outputs.size(), 1U);
  EXPECT_EQ(outputs[0].row, 1);
  EXPECT_EQ(outputs[0].col, 1);
  EXPECT_EQ(outputs[0].judged, 9);
  EXPECT_EQ(outputs[0].reference, 8);
  EXPECT_EQ(outputs[0].difference, 1);
  EXPECT_EQ(outputs[0].relative, 0.125);
}

TEST(CompareDevice, EmptyBlocksAreBlocks) {
  const std::unique_ptr<Device> check = make_compare_device(cpu(), cpu(), nullptr);
  const DeviceArray<float> first(*check, 0);
  const DeviceArray<float> second(*check, 0);
  EXPECT_NE(first.data(), second.data());
  EXPECT_NO_THROW(first.download({}));
  EXPECT_NO_THROW(check->run(DenseForward{
      .x = {first.data(), 0, 3}, .w = {second.data(), 3, 0}, .y = {first.data(), 0, 0}}));
}

TEST(CompareDevice, RefusesMemoryThatIsNotAllocated) {
  const std::unique_ptr<Device> check = make_compare_device(cpu(), cpu(), nullptr);
  std::vector<float> host(64);
  auto freed = std::make_optional<DeviceArray<float>>(*check, 64);
  const float* where = freed->data();
  EXPECT_NO_THROW(check->download(host.data(), where, 64 * sizeof(float)));
  EXPECT_TRUE(says(error_of([&] { check->download(host.data(), where + 1, 64 * sizeof(float)); }),
                   "256 bytes at"));
  freed.reset();
  for (const float* address : {where, where + 3, static_cast<const float*>(host.data())}) {
    EXPECT_TRUE(says(error_of([&] { check->download(host.data(), address, sizeof(float)); }),
                     "not within one block"));
  }
  check->deallocate(nullptr);
}

// ── Comparing ───────────────────────────────────────────────────────────────────────────────────

CheckedOutput compared(const std::vector<float>& judged, const std::vector<float>& reference) {
  CheckedOutputs outputs;
  outputs.compare<float>("output", 2, judged, reference);
  return outputs.worst_first().front();
}

TEST(CheckedOutputs, AreRelativeToTheLargestMagnitude) {
  const CheckedOutput output = compared({1e-6F, -8, 3, 4}, {-1e-6F, -8, 2.5F, 4});
  EXPECT_EQ(output.relative, 0.5 / 8);
  EXPECT_EQ(output.difference, 0.5);
  EXPECT_EQ(output.row, 1);
  EXPECT_EQ(output.col, 0);
  EXPECT_EQ(compared({1e-30F, 0}, {0, 0}).relative, kInfinity);
}

TEST(CheckedOutputs, KnowWhatIsNoNumber) {
  constexpr auto kInf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(compared({kNaN, 1, kInf, -kInf, -0.0F}, {-kNaN, 1, kInf, -kInf, 0}).call, 0);
  for (const auto& [judged, reference] : {std::pair{kNaN, 1.0F},
                                          {1.0F, kNaN},
                                          {kInf, 1.0F},
                                          {1.0F, -kInf},
                                          {kInf, -kInf},
                                          {kInf, kNaN}}) {
    const CheckedOutput output = compared({1, judged}, {2, reference});
    EXPECT_EQ(output.relative, kInfinity) << judged << " against " << reference;
    EXPECT_EQ(output.col, 1) << judged << " against " << reference;
  }
}

TEST(CheckedOutputs, IntegersAreComparedExactly) {
  constexpr std::int64_t kLarge = (std::int64_t{1} << 60) + 1;
  constexpr std::int64_t kLowest = std::numeric_limits<std::int64_t>::min();
  CheckedOutputs outputs;
  outputs.compare<std::int64_t>("step", 1, std::array{kLarge}, std::array{kLarge - 1});
  EXPECT_EQ(outputs.worst_first().front().difference, 1);
  outputs.compare<std::int64_t>("step", 1, std::array{kLarge}, std::array{kLowest});
  EXPECT_EQ(outputs.worst_first().front().difference, 0x1p63 + 0x1p60);
}

TEST(CheckedOutputs, KeepTheWorstCallAndComeWorstFirst) {
  CheckedOutputs outputs;
  outputs.compare<float>("equal", 1, std::array{1.0F}, std::array{1.0F});
  outputs.compare<float>("near", 1, std::array{1.125F}, std::array{1.0F});
  outputs.compare<double>("far", 1, std::array{150.0}, std::array{100.0});
  outputs.compare<double>("far", 1, std::array{4.0}, std::array{2.0});
  outputs.compare<double>("far", 1, std::array{160.0}, std::array{100.0});
  outputs.compare<float>("empty", 0, {}, {});
  const std::vector<CheckedOutput> sorted = outputs.worst_first();
  ASSERT_EQ(sorted.size(), 4U);
  EXPECT_EQ(sorted[0].name, "far");
  EXPECT_EQ(sorted[0].calls, 3);
  EXPECT_EQ(sorted[0].elements, 3);
  EXPECT_EQ(sorted[0].call, 2);
  EXPECT_EQ(sorted[0].relative, 1);
  EXPECT_EQ(sorted[1].name, "near");
  EXPECT_EQ(sorted[2].name, "equal");
  EXPECT_EQ(sorted[3].name, "empty");

  EXPECT_EQ(format_checked_outputs(std::span(sorted).first(3)),
            "output                             calls      elements  |difference|  relative"
            "   in call            at           judged        reference\n"
            "far                                    3             3      2.00e+00   1.0e+00"
            "         2          0, 0                4                2\n"
            "near                                   1             1      1.25e-01   1.2e-01"
            "         1          0, 0            1.125                1\n"
            "equal                                  1             1             0         0\n");
}

}  // namespace
}  // namespace ae
