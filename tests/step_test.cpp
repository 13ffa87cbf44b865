// Operations together, as a training step calls them: recorded and replayed, and with the same bits
// whatever the number of threads.

#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "device/device.hpp"
#include "guarded.hpp"
#include "numbers.hpp"
#include "targets.hpp"

namespace ae {
namespace {

using test::Floats;
using test::Guarded;
using test::HostMatrix;
using test::Numbers;
using test::run_one_by_one;
using test::same_bits;
using test::Target;

/// A whole step of a small model, 50 → 16 → 50, in the order in which training calls it.
class SmallTraining {
 public:
  SmallTraining(Device& device, const Dataset& data, std::int64_t batch)
      : data_(device.make_resident(data)),
        batch_(batch),
        permutation_(device, std::span<const std::int32_t>(order(data.rows()))),
        step_(device, std::span(&kNoStep, 1)),
        x_(device, batch * kInputs),
        code_(device, batch * kUnits),
        logits_(device, batch * kInputs),
        code_gradient_(device, batch * kUnits),
        parameters_(device, std::span<const float>(Numbers(14).vector(kParameters, -0.2F, 0.2F))),
        gradients_(device, std::span<const float>(zeros())),
        m_(device, std::span<const float>(zeros())),
        v_(device, std::span<const float>(zeros())),
        loss_sum_(device, std::span(&kNoLoss, 1)) {}

  [[nodiscard]] Step step() const {
    Step step;
    const Matrix x = x_.matrix(batch_, kInputs);
    const Matrix code = code_.matrix(batch_, kUnits);
    const Matrix logits = logits_.matrix(batch_, kInputs);
    const Matrix w0{parameters_.data(), kInputs, kUnits};
    const Matrix w1{parameters_.data() + kW1, kUnits, kInputs};
    step.add(GatherBatch{.data = data_.get(),
                         .permutation = permutation_.tensor(),
                         .step = step_.tensor(),
                         .steps_per_epoch = data_->rows() / batch_,
                         .batch_size = batch_,
                         .x = x});
    step.add(DenseForward{.x = x,
                          .w = w0,
                          .bias = vector_of(parameters_.data() + kB0, kUnits),
                          .activation = Activation::tanh,
                          .y = code,
                          .x_density = 0.3});
    step.add(DenseForward{.x = code, .w = w1, .y = logits});
    step.add(ReconstructionLoss{.z = logits,
                                .bias = vector_of(parameters_.data() + kB1, kInputs),
                                .target = x,
                                .gradient_scale = 1.0F / static_cast<float>(batch_ * kInputs),
                                .dz = logits,
                                .dbias = vector_of(gradients_.data() + kB1, kInputs),
                                .loss_sum = loss_sum_.tensor()});
    step.add(DenseBackward{.x = code,
                           .w = w1,
                           .dz = logits,
                           .dw = {gradients_.data() + kW1, kUnits, kInputs},
                           .dx = code_gradient_.matrix(batch_, kUnits),
                           .activation_below = Activation::tanh,
                           .dbias_below = vector_of(gradients_.data() + kB0, kUnits)});
    step.add(DenseBackward{.x = x,
                           .w = w0,
                           .dz = code_gradient_.matrix(batch_, kUnits),
                           .dw = {gradients_.data(), kInputs, kUnits},
                           .x_density = 0.3});
    step.add(OptimizerStep{.options = {.learning_rate = 0.01F},
                           .parameters = parameters_.tensor(),
                           .gradients = gradients_.tensor(),
                           .first = m_.tensor(),
                           .second = v_.tensor(),
                           .step = step_.tensor()});
    return step;
  }

  [[nodiscard]] bool is_untouched() const {
    return parameters_.is_untouched() && gradients_.is_untouched() && m_.is_untouched() &&
           v_.is_untouched() && loss_sum_.is_untouched() && step_.is_untouched() &&
           x_.is_untouched() && logits_.is_untouched();
  }

  /// Everything it has computed.
  [[nodiscard]] std::vector<float> state() const {
    std::vector<float> all;
    for (const Floats* array : {&parameters_, &gradients_, &m_, &v_, &x_, &code_, &logits_}) {
      const std::vector<float> values = array->read();
      all.insert(all.end(), values.begin(), values.end());
    }
    const auto sum = std::bit_cast<std::array<float, 2>>(loss_sum_.read().front());
    all.insert(all.end(), sum.begin(), sum.end());
    return all;
  }
  [[nodiscard]] std::int64_t steps_done() const { return step_.read().front(); }
  [[nodiscard]] double loss_sum() const { return loss_sum_.read().front(); }

 private:
  static constexpr std::int64_t kInputs = 50;
  static constexpr std::int64_t kUnits = 16;
  static constexpr std::int64_t kB0 = 800;
  static constexpr std::int64_t kW1 = 816;
  static constexpr std::int64_t kB1 = 1616;
  static constexpr std::int64_t kParameters = 1680;
  static constexpr std::int64_t kNoStep = 0;
  static constexpr double kNoLoss = 0;

  static std::vector<float> zeros() { return std::vector<float>(kParameters); }

  static std::vector<std::int32_t> order(std::int64_t rows) {
    std::vector<std::int32_t> order(static_cast<std::size_t>(rows));
    std::iota(order.rbegin(), order.rend(), 0);
    return order;
  }

  std::unique_ptr<ResidentData> data_;
  std::int64_t batch_;
  Guarded<std::int32_t> permutation_;
  Guarded<std::int64_t> step_;
  Floats x_;
  Floats code_;
  Floats logits_;
  Floats code_gradient_;
  Floats parameters_;
  Floats gradients_;
  Floats m_;
  Floats v_;
  Guarded<double> loss_sum_;
};

Dataset small_data() {
  return {"small", {50}, Numbers(15).sparse_matrix(500, 50, 0.3F).values};
}

// ── Recording ───────────────────────────────────────────────────────────────────────────────────

class RecordedStepTest : public ::testing::TestWithParam<Target> {
 protected:
  std::unique_ptr<Device> device_ = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(Targets, RecordedStepTest, ::testing::ValuesIn(test::targets()),
                         test::test_name);

TEST_P(RecordedStepTest, RecordingRunsNothingAndReplayingRunsAllOfIt) {
  const Dataset data = small_data();
  SmallTraining direct(*device_, data, 100);
  SmallTraining recorded(*device_, data, 100);
  const std::unique_ptr<Program> step = device_->compile(recorded.step());
  EXPECT_TRUE(recorded.is_untouched());
  for (int i = 0; i < 12; ++i) {
    run_one_by_one(*device_, direct.step());
    step->replay(1);
  }
  EXPECT_EQ(recorded.steps_done(), 12);
  EXPECT_TRUE(same_bits<float>(recorded.state(), direct.state()));
}

TEST_P(RecordedStepTest, TwoRecordingsTakeTurns) {
  const Dataset data = small_data();
  SmallTraining first(*device_, data, 100);
  SmallTraining second(*device_, data, 33);
  const std::unique_ptr<Program> first_step = device_->compile(first.step());
  const std::unique_ptr<Program> second_step = device_->compile(second.step());
  first_step->replay(1);
  EXPECT_TRUE(second.is_untouched());
  second_step->replay(1);
  first_step->replay(1);
  EXPECT_EQ(first.steps_done(), 2);
  EXPECT_EQ(second.steps_done(), 1);
}

// ── The same bits ───────────────────────────────────────────────────────────────────────────────

class SameBitsTest : public ::testing::TestWithParam<Target> {};

INSTANTIATE_TEST_SUITE_P(Devices, SameBitsTest, ::testing::ValuesIn(test::devices()),
                         test::test_name);

TEST_P(SameBitsTest, ThreadsAndRepeatsDoNotMatter) {
  const Dataset data = small_data();
  const auto run = [&](int threads, std::int64_t batch) {
    const std::unique_ptr<Device> device = GetParam().with_threads(threads).make();
    SmallTraining training(*device, data, batch);
    const std::unique_ptr<Program> step = device->compile(training.step());
    for (int i = 0; i < GetParam().affordable(20, 3); ++i) step->replay(1);
    EXPECT_GT(training.loss_sum(), 0);
    return training.state();
  };
  for (const std::int64_t batch : {1, 31, 257, 500}) {
    const std::vector<float> first = run(GetParam().options.threads, batch);
    for (const int threads : GetParam().thread_counts()) {
      for (int repeat = 0; repeat < 2; ++repeat) {
        EXPECT_TRUE(same_bits<float>(run(threads, batch), first))
            << "batch " << batch << ", " << threads << " threads, repeat " << repeat;
      }
    }
  }
}

TEST_P(SameBitsTest, ThreadsDoNotMatterToLargeLayers) {
  Numbers numbers(16);
  const HostMatrix x = numbers.sparse_matrix(256, 784, 0.2F);
  const HostMatrix w = numbers.matrix(784, 64);
  const HostMatrix dz = numbers.matrix(256, 64);
  for (const double density : {1.0, 0.2}) {
    std::vector<float> first;
    for (const int threads : GetParam().thread_counts()) {
      const std::unique_ptr<Device> device = GetParam().with_threads(threads).make();
      const Floats device_x(*device, x);
      const Floats device_w(*device, w);
      const Floats device_dz(*device, dz);
      const Floats y(*device, 256 * 64);
      const Floats dw(*device, 784 * 64);
      const Floats dx(*device, 256 * 784);
      const Floats dbias(*device, 784);
      device->run(DenseForward{.x = device_x.matrix(256, 784),
                               .w = device_w.matrix(784, 64),
                               .y = y.matrix(256, 64),
                               .x_density = density});
      device->run(DenseBackward{.x = device_x.matrix(256, 784),
                                .w = device_w.matrix(784, 64),
                                .dz = device_dz.matrix(256, 64),
                                .dw = dw.matrix(784, 64),
                                .dx = dx.matrix(256, 784),
                                .dbias_below = dbias.tensor(),
                                .x_density = density});
      std::vector<float> all;
      for (const Floats* array : {&y, &dw, &dx, &dbias}) {
        const std::vector<float> values = array->read();
        all.insert(all.end(), values.begin(), values.end());
      }
      if (first.empty()) first = all;
      EXPECT_TRUE(same_bits<float>(all, first)) << threads << " threads, density hint " << density;
    }
  }
}

}  // namespace
}  // namespace ae
