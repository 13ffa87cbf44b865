// Every operation of every device against the oracle: at sizes around those that kernels are cut
// by, on random and on extreme inputs, with outputs full of NaN beforehand and a guard on either
// side of each array.

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ae/error.hpp"

#include "device/device.hpp"
#include "formulas/optimizers.hpp"
#include "guarded.hpp"
#include "numbers.hpp"
#include "oracle.hpp"
#include "targets.hpp"

namespace ae {
namespace {

using test::Expected;
using test::Floats;
using test::Guarded;
using test::HostMatrix;
using test::near;
using test::Numbers;
using test::Oracle;
using test::Target;

using test::kActivationsByOutput;
using test::kAllActivations;
using test::kAllLosses;

// ── Inputs ──────────────────────────────────────────────────────────────────────────────────────

constexpr float kDenormal = 1e-40F;
constexpr float kSmallest = std::numeric_limits<float>::min();

constexpr std::array kExtremeLogits{0.0F,  -0.0F,     1.0F,       -1.0F,     100.0F,     -100.0F,
                                    87.5F, -87.5F,    17.0F,      -17.0F,    0.2F,       -0.2F,
                                    1e-4F, kDenormal, -kDenormal, kSmallest, -kSmallest, 0.5F};
constexpr std::array kExtremeTargets{0.0F, 1.0F, 0.5F, 1.0F / 255, 254.0F / 255, kDenormal};

/// Extreme logits down, extreme targets across: each meets each.
HostMatrix extreme_logits(std::int64_t cols) {
  HostMatrix z{static_cast<std::int64_t>(kExtremeLogits.size()), cols, {}};
  for (const float value : kExtremeLogits) {
    z.values.insert(z.values.end(), static_cast<std::size_t>(cols), value);
  }
  return z;
}

HostMatrix extreme_targets(std::int64_t rows) {
  HostMatrix t{rows, static_cast<std::int64_t>(kExtremeTargets.size()), {}};
  for (std::int64_t row = 0; row < rows; ++row) {
    t.values.insert(t.values.end(), kExtremeTargets.begin(), kExtremeTargets.end());
  }
  return t;
}

struct Shape3 {
  std::int64_t batch;
  std::int64_t inputs;
  std::int64_t units;
};

/// All combinations of the small sizes around a vector's and a panel's, and large ones in mixes
/// that cross what operations are cut into: stripes of 112, stretches of 1024, panels of 32.
std::vector<Shape3> dense_shapes() {
  constexpr std::array<std::int64_t, 5> kSmall{0, 1, 31, 32, 33};
  std::vector<Shape3> shapes;
  for (const std::int64_t batch : kSmall) {
    for (const std::int64_t inputs : kSmall) {
      for (const std::int64_t units : kSmall) shapes.push_back({batch, inputs, units});
    }
  }
  for (const Shape3 shape : {
           Shape3{257, 33, 784},
           Shape3{257, 784, 32},
           Shape3{33, 32, 784},
           Shape3{33, 784, 257},
           Shape3{1, 784, 784},
           Shape3{784, 1, 31},
           Shape3{784, 257, 1},
           Shape3{31, 113, 112},
           Shape3{31, 111, 48},
           Shape3{5, 1025, 48},
           Shape3{3, 2051, 16},
           Shape3{0, 20, 256},
           Shape3{65, 257, 80},
       }) {
    shapes.push_back(shape);
  }
  return shapes;
}

struct Shape2 {
  std::int64_t rows;
  std::int64_t cols;
};

std::vector<Shape2> matrix_shapes() {
  constexpr std::array<std::int64_t, 7> kSizes{0, 1, 31, 32, 33, 257, 784};
  std::vector<Shape2> shapes;
  for (const std::int64_t rows : kSizes) {
    for (const std::int64_t cols : kSizes) {
      if (rows * cols <= 257 * 257) shapes.push_back({rows, cols});
    }
  }
  shapes.push_back({96, 784});
  return shapes;
}

class OpsTest : public ::testing::TestWithParam<Target> {
 protected:
  std::unique_ptr<Device> device_ = GetParam().make();
  Oracle oracle_{GetParam().precision};
};

INSTANTIATE_TEST_SUITE_P(Targets, OpsTest, ::testing::ValuesIn(test::targets_in_every_precision()),
                         test::test_name);

// ── Memory ──────────────────────────────────────────────────────────────────────────────────────

TEST_P(OpsTest, MemoryIsZeroedAndAligned) {
  for (const std::size_t bytes :
       {std::size_t{0}, std::size_t{1}, std::size_t{63}, std::size_t{64}, std::size_t{100'001}}) {
    void* memory = device_->allocate(bytes);
    ASSERT_NE(memory, nullptr);
    EXPECT_EQ(std::bit_cast<std::uintptr_t>(memory) % 64, 0U);
    std::vector<std::uint8_t> content(bytes, 1);
    device_->download(content.data(), memory, bytes);
    EXPECT_EQ(std::count(content.begin(), content.end(), 0), static_cast<std::ptrdiff_t>(bytes));
    device_->deallocate(memory);
  }
}

TEST_P(OpsTest, MemoryIsUploadedClearedAndPeekedAt) {
  const std::vector<double> values{1.5, -2.5, 3.5};
  DeviceArray<double> array(*device_, 3);
  array.upload(values);
  std::vector<double> back(3);
  array.download(back);
  EXPECT_EQ(back, values);
  const double seen = device_->peek(array.data() + 1);
  EXPECT_TRUE(seen == -2.5 || std::isnan(seen)) << seen;
  device_->clear(array.data() + 1, sizeof(double));
  array.download(back);
  EXPECT_EQ(back, (std::vector<double>{1.5, 0, 3.5}));
  device_->upload(array.data(), nullptr, 0);
  device_->download(nullptr, array.data(), 0);
  device_->clear(array.data(), 0);
  device_->synchronize();
  array.download(back);
  EXPECT_EQ(back, (std::vector<double>{1.5, 0, 3.5}));
}

TEST_P(OpsTest, MemoryThatNobodyHasIsRefused) {
  EXPECT_THROW(static_cast<void>(device_->allocate(std::numeric_limits<std::size_t>::max())),
               Error);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they would end the program
  EXPECT_THROW(static_cast<void>(device_->allocate(std::size_t{1} << 60U)), Error);
#endif
}

// ── Gather ──────────────────────────────────────────────────────────────────────────────────────

struct GatherCase {
  std::int64_t rows;
  std::int64_t row_size;
  std::int64_t batch;
};

constexpr std::array kGatherCases{GatherCase{1, 1, 1},      GatherCase{33, 31, 32},
                                  GatherCase{65, 784, 32},  GatherCase{64, 32, 32},
                                  GatherCase{300, 33, 257}, GatherCase{7, 257, 1}};

Dataset byte_data(const GatherCase& size) {
  std::vector<std::uint8_t> values(static_cast<std::size_t>(size.rows * size.row_size));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<std::uint8_t>(i * 7 % 256);
  return {"bytes", {size.row_size}, std::move(values)};
}

Dataset float_data(const GatherCase& size) {
  return {"floats", {size.row_size}, Numbers(5).vector(size.rows * size.row_size)};
}

/// Values as the network sees them: bytes as nearly byte / 255 as a division gets, floats exactly.
std::vector<Expected> expected_rows(const Dataset& data, const std::vector<std::int64_t>& rows,
                                    const test::Precision& precision) {
  std::vector<Expected> expected;
  for (const std::int64_t row : rows) {
    for (std::int64_t i = 0; i < data.row_size(); ++i) {
      const auto at = static_cast<std::size_t>(row * data.row_size() + i);
      if (data.is_bytes()) {
        const double value = data.bytes()[at] / 255.0;
        expected.push_back({value, precision.unit * value});
      } else {
        expected.push_back({static_cast<double>(data.floats()[at]), 0});
      }
    }
  }
  return expected;
}

TEST_P(OpsTest, GatherBatchFollowsTheStepCounter) {
  for (const GatherCase& size : kGatherCases) {
    for (const Dataset& data : {byte_data(size), float_data(size)}) {
      SCOPED_TRACE(data.source() + " " + std::to_string(size.rows) + "x" +
                   std::to_string(size.row_size) + ", batch " + std::to_string(size.batch));
      const std::unique_ptr<ResidentData> resident = device_->make_resident(data);
      EXPECT_EQ(resident->rows(), size.rows);
      EXPECT_EQ(resident->row_size(), size.row_size);

      std::vector<std::int32_t> order(static_cast<std::size_t>(size.rows));
      std::iota(order.begin(), order.end(), 0);
      std::shuffle(order.begin(), order.end(), std::mt19937(3));
      const Guarded<std::int32_t> permutation(*device_, std::span<const std::int32_t>(order));
      const std::int64_t steps = (size.rows + size.batch - 1) / size.batch;

      // Two epochs, and one step far into training.
      std::vector<std::int64_t> step_numbers(static_cast<std::size_t>(2 * steps));
      std::iota(step_numbers.begin(), step_numbers.end(), 0);
      step_numbers.push_back(steps * 5'000'000'000);
      for (const std::int64_t step_number : step_numbers) {
        const Guarded<std::int64_t> step(*device_, std::span(&step_number, 1));
        const std::int64_t first = step_number % steps * size.batch;
        const std::int64_t rows = std::min(size.batch, size.rows - first);
        std::vector<std::int64_t> chosen(order.begin() + first, order.begin() + first + rows);
        const Floats x(*device_, rows * size.row_size);
        device_->run(GatherBatch{.data = resident.get(),
                                 .permutation = permutation.tensor(),
                                 .step = step.tensor(),
                                 .steps_per_epoch = steps,
                                 .batch_size = size.batch,
                                 .x = x.matrix(rows, size.row_size)});
        EXPECT_TRUE(near(x.read(), expected_rows(data, chosen, GetParam().precision)))
            << "step " << step_number;
        EXPECT_TRUE(step.is_untouched());
      }
    }
  }
}

TEST_P(OpsTest, GatherRowsTakesConsecutiveOnes) {
  for (const GatherCase& size : kGatherCases) {
    for (const Dataset& data : {byte_data(size), float_data(size)}) {
      const std::unique_ptr<ResidentData> resident = device_->make_resident(data);
      for (const std::int64_t first : {std::int64_t{0}, size.rows / 2, size.rows}) {
        const std::int64_t rows = std::min(size.batch, size.rows - first);
        std::vector<std::int64_t> chosen(static_cast<std::size_t>(rows));
        std::iota(chosen.begin(), chosen.end(), first);
        const Floats x(*device_, rows * size.row_size);
        device_->run(GatherRows{
            .data = resident.get(), .first_row = first, .x = x.matrix(rows, size.row_size)});
        EXPECT_TRUE(near(x.read(), expected_rows(data, chosen, GetParam().precision)))
            << data.source() << " " << size.rows << "x" << size.row_size << " from " << first;
      }
    }
  }
}

TEST_P(OpsTest, EveryByteIsConverted) {
  std::vector<std::uint8_t> values(256);
  std::iota(values.begin(), values.end(), std::uint8_t{0});
  const Dataset data("bytes", {256}, std::move(values));
  const std::unique_ptr<ResidentData> resident = device_->make_resident(data);
  const Floats x(*device_, 256);
  device_->run(GatherRows{.data = resident.get(), .first_row = 0, .x = x.matrix(1, 256)});
  const std::vector<float> actual = x.read();
  EXPECT_TRUE(near(actual, expected_rows(data, {0}, GetParam().precision)));
  EXPECT_EQ(actual.front(), 0.0F);
  EXPECT_EQ(actual.back(), 1.0F);
}

// ── Dense layers ────────────────────────────────────────────────────────────────────────────────

std::string describe(const Shape3& shape, Activation activation, double density) {
  return "batch " + std::to_string(shape.batch) + ", " + std::to_string(shape.inputs) + " -> " +
         std::to_string(shape.units) + " " + std::string(to_string(activation)) +
         ", density hint " + std::to_string(density);
}

/// Runs a layer on `x` as it is, whatever the hint says, and judges it.
void check_dense_forward(Device& device, const Oracle& oracle, const HostMatrix& x,
                         const HostMatrix& w, const std::vector<float>& bias, Activation activation,
                         std::initializer_list<double> density_hints) {
  const std::vector<Expected> expected = oracle.dense_forward(x, w, bias, activation);
  const Floats device_x(device, x);
  const Floats device_w(device, w);
  const Floats device_bias(device, std::span<const float>(bias));
  for (const double density : density_hints) {
    SCOPED_TRACE(describe({x.rows, x.cols, w.cols}, activation, density));
    const Floats y(device, x.rows * w.cols);
    device.run(DenseForward{.x = device_x.matrix(x.rows, x.cols),
                            .w = device_w.matrix(w.rows, w.cols),
                            .bias = bias.empty() ? Matrix{} : device_bias.tensor(),
                            .activation = activation,
                            .y = y.matrix(x.rows, w.cols),
                            .x_density = density});
    EXPECT_TRUE(near(y.read(), expected));
    EXPECT_TRUE(device_x.is_untouched());
    EXPECT_TRUE(device_w.is_untouched());
    EXPECT_TRUE(device_bias.is_untouched());
  }
}

TEST_P(OpsTest, DenseForwardIsRightAtEverySize) {
  Numbers numbers(1);
  std::size_t turn = 0;
  for (const Shape3& shape : dense_shapes()) {
    const Activation activation = kAllActivations[turn++ % kAllActivations.size()];
    const HostMatrix w = numbers.matrix(shape.inputs, shape.units);
    const std::vector<float> bias = numbers.vector(shape.units);
    const bool without_bias = turn % 5 == 0;
    check_dense_forward(*device_, oracle_, numbers.sparse_matrix(shape.batch, shape.inputs, 0.2F),
                        w, without_bias ? std::vector<float>{} : bias, activation, {1, 0.2});
  }
}

TEST_P(OpsTest, DenseForwardIsRightWhateverTheDensityHintSays) {
  Numbers numbers(2);
  for (const Shape3 shape : {Shape3{33, 257, 32}, Shape3{1, 1024, 16}, Shape3{5, 1100, 80}}) {
    const HostMatrix w = numbers.matrix(shape.inputs, shape.units);
    const std::vector<float> bias = numbers.vector(shape.units);
    const HostMatrix full = numbers.matrix(shape.batch, shape.inputs);
    HostMatrix zeros = full;
    std::fill(zeros.values.begin(), zeros.values.end(), 0.0F);
    HostMatrix ones = full;
    std::fill(ones.values.begin(), ones.values.end(), 1.0F);
    HostMatrix last_only = zeros;  // one value at the very end of each row
    for (std::int64_t row = 0; row < shape.batch; ++row) {
      last_only.values[static_cast<std::size_t>((row + 1) * shape.inputs - 1)] = -2;
    }
    for (const HostMatrix& x : {full, zeros, ones, last_only}) {
      check_dense_forward(*device_, oracle_, x, w, bias, Activation::relu, {1, 0.2, 0});
    }
  }
}

TEST_P(OpsTest, DenseForwardStandsExtremes) {
  const HostMatrix x{static_cast<std::int64_t>(kExtremeLogits.size()),
                     1,
                     {kExtremeLogits.begin(), kExtremeLogits.end()}};
  HostMatrix w{1, 32, std::vector<float>(32, 1)};
  w.values[1] = -1;
  w.values[2] = 0;
  w.values[3] = kDenormal;
  w.values[4] = 1e30F;
  for (const Activation activation : kAllActivations) {
    for (const float bias : {0.0F, 100.0F, -0.5F}) {
      check_dense_forward(*device_, oracle_, x, w, std::vector<float>(32, bias), activation,
                          {1, 0.2});
    }
  }
}

TEST_P(OpsTest, DenseForwardPassesNanOnInItsRowAlone) {
  constexpr std::int64_t kRows = 3;
  constexpr std::int64_t kUnits = 32;
  HostMatrix x{kRows, 40, std::vector<float>(kRows * 40, 0.5F)};
  x.values[40 + 17] = std::numeric_limits<float>::quiet_NaN();
  const Floats device_x(*device_, x);
  const Floats w(*device_, Numbers(4).matrix(40, kUnits));
  for (const Activation activation : kAllActivations) {
    for (const double density : {1.0, 0.2}) {
      SCOPED_TRACE(describe({kRows, 40, kUnits}, activation, density));
      const Floats y(*device_, kRows * kUnits);
      device_->run(DenseForward{.x = device_x.matrix(kRows, 40),
                                .w = w.matrix(40, kUnits),
                                .activation = activation,
                                .y = y.matrix(kRows, kUnits),
                                .x_density = density});
      const std::vector<float> actual = y.read();
      for (std::size_t i = 0; i < actual.size(); ++i) {
        EXPECT_EQ(std::isnan(actual[i]), i / kUnits == 1) << "element " << i;
      }
    }
  }
}

void check_dense_backward(Device& device, const Oracle& oracle, const HostMatrix& x,
                          const HostMatrix& w, const HostMatrix& dz, Activation below, bool with_dx,
                          std::initializer_list<double> density_hints) {
  const Oracle::DenseGradients expected = oracle.dense_backward(x, w, dz, below);
  const Floats device_x(device, x);
  const Floats device_w(device, w);
  const Floats device_dz(device, dz);
  for (const double density : density_hints) {
    SCOPED_TRACE(describe({x.rows, x.cols, w.cols}, below, density));
    const Floats dw(device, w.rows * w.cols);
    const Floats dx(device, x.rows * x.cols);
    const Floats dbias(device, x.cols);
    device.run(DenseBackward{.x = device_x.matrix(x.rows, x.cols),
                             .w = device_w.matrix(w.rows, w.cols),
                             .dz = device_dz.matrix(dz.rows, dz.cols),
                             .dw = dw.matrix(w.rows, w.cols),
                             .dx = with_dx ? dx.matrix(x.rows, x.cols) : Matrix{},
                             .activation_below = below,
                             .dbias_below = with_dx ? dbias.tensor() : Matrix{},
                             .x_density = density});
    EXPECT_TRUE(near(dw.read(), expected.dw));
    if (with_dx) {
      EXPECT_TRUE(near(dx.read(), expected.dx));
      EXPECT_TRUE(near(dbias.read(), expected.dbias_below));
    } else {
      EXPECT_TRUE(dx.is_untouched());
      EXPECT_TRUE(dbias.is_untouched());
    }
    EXPECT_TRUE(device_x.is_untouched());
    EXPECT_TRUE(device_w.is_untouched());
    EXPECT_TRUE(device_dz.is_untouched());
  }
}

TEST_P(OpsTest, DenseBackwardIsRightAtEverySize) {
  Numbers numbers(6);
  std::size_t turn = 0;
  for (const Shape3& shape : dense_shapes()) {
    const Activation below = kActivationsByOutput[turn++ % kActivationsByOutput.size()];
    const HostMatrix w = numbers.matrix(shape.inputs, shape.units);
    const HostMatrix dz = numbers.matrix(shape.batch, shape.units);
    check_dense_backward(*device_, oracle_, numbers.outputs(below, shape.batch, shape.inputs), w,
                         dz, below, true, {1});
  }
}

TEST_P(OpsTest, DenseBackwardOfTheFirstLayerIsRightAtEverySize) {
  Numbers numbers(7);
  for (const Shape3& shape : dense_shapes()) {
    const HostMatrix x = numbers.sparse_matrix(shape.batch, shape.inputs, 0.2F);
    const HostMatrix w = numbers.matrix(shape.inputs, shape.units);
    const HostMatrix dz = numbers.matrix(shape.batch, shape.units);
    check_dense_backward(*device_, oracle_, x, w, dz, Activation::identity, false, {1, 0.2});
  }
}

TEST_P(OpsTest, DenseBackwardIsRightWhateverTheDensityHintSays) {
  Numbers numbers(8);
  for (const Shape3 shape : {Shape3{33, 257, 32}, Shape3{40, 100, 112}}) {
    const HostMatrix w = numbers.matrix(shape.inputs, shape.units);
    const HostMatrix dz = numbers.matrix(shape.batch, shape.units);
    HostMatrix zeros = numbers.matrix(shape.batch, shape.inputs);
    std::fill(zeros.values.begin(), zeros.values.end(), 0.0F);
    for (const HostMatrix& x : {numbers.matrix(shape.batch, shape.inputs), zeros}) {
      check_dense_backward(*device_, oracle_, x, w, dz, Activation::identity, false, {1, 0.2, 0});
      check_dense_backward(*device_, oracle_, x, w, dz, Activation::identity, true, {0.2});
    }
  }
}

/// The two passes of a hidden layer, with whatever the device keeps between them.
TEST_P(OpsTest, WhatTheForwardPassReservesServesTheBackwardPass) {
  Numbers numbers(20);
  std::size_t turn = 0;
  for (const Shape3& shape :
       {Shape3{33, 57, 32}, Shape3{1, 4, 4}, Shape3{257, 31, 33}, Shape3{64, 20, 129}}) {
    for (const Activation activation : kAllActivations) {
      SCOPED_TRACE(describe(shape, activation, 1));
      const std::int64_t above = 40 + static_cast<std::int64_t>(turn++ % 2);
      const HostMatrix x = numbers.matrix(shape.batch, shape.inputs);
      const HostMatrix w = numbers.matrix(shape.inputs, shape.units);
      const std::vector<float> bias = numbers.vector(shape.units);
      const HostMatrix w_above = numbers.matrix(shape.units, above);
      const HostMatrix dz = numbers.matrix(shape.batch, above);
      const Floats device_x(*device_, x);
      const Floats device_w(*device_, w);
      const Floats device_bias(*device_, std::span<const float>(bias));
      const Floats device_w_above(*device_, w_above);
      const Floats device_dz(*device_, dz);
      const bool keeps = slope_from_input(activation);
      const Floats kept(*device_, keeps ? shape.batch * shape.units : 0);
      const Matrix z = keeps ? kept.matrix(shape.batch, shape.units) : Matrix{};
      const Floats y(*device_, shape.batch * shape.units);
      device_->run(DenseForward{.x = device_x.matrix(shape.batch, shape.inputs),
                                .w = device_w.matrix(shape.inputs, shape.units),
                                .bias = device_bias.tensor(),
                                .activation = activation,
                                .y = y.matrix(shape.batch, shape.units),
                                .z = z});
      const HostMatrix output{shape.batch, shape.units, y.read()};
      EXPECT_TRUE(near(output.values, oracle_.dense_forward(x, w, bias, activation)));

      const Floats dw(*device_, shape.units * above);
      const Floats dx(*device_, shape.batch * shape.units);
      const Floats dbias(*device_, shape.units);
      device_->run(DenseBackward{.x = y.matrix(shape.batch, shape.units),
                                 .w = device_w_above.matrix(shape.units, above),
                                 .dz = device_dz.matrix(shape.batch, above),
                                 .dw = dw.matrix(shape.units, above),
                                 .dx = dx.matrix(shape.batch, shape.units),
                                 .activation_below = activation,
                                 .z_below = z,
                                 .dbias_below = dbias.tensor()});
      const Oracle::DenseGradients expected =
          slope_from_input(activation)
              ? oracle_.dense_backward(output, w_above, dz, oracle_.slopes(x, w, bias, activation))
              : oracle_.dense_backward(output, w_above, dz, activation);
      EXPECT_TRUE(near(dw.read(), expected.dw));
      EXPECT_TRUE(near(dx.read(), expected.dx));
      EXPECT_TRUE(near(dbias.read(), expected.dbias_below));
      static_cast<void>(kept.read());  // judges its guards
    }
  }
}

TEST_P(OpsTest, DenseBackwardStandsExtremes) {
  Numbers numbers(9);
  for (const Activation below : kActivationsByOutput) {
    HostMatrix x = numbers.outputs(below, 33, 32);
    std::fill_n(x.values.begin(), 32, 0.0F);       // an activation that is shut
    std::fill_n(x.values.begin() + 32, 32, 1.0F);  // saturated
    std::fill_n(x.values.begin() + 64, 32, kDenormal);
    HostMatrix dz = numbers.matrix(33, 31);
    std::fill_n(dz.values.begin(), 31, 1e6F);
    std::fill_n(dz.values.begin() + 31, 31, kDenormal);
    std::fill_n(dz.values.begin() + 62, 31, 0.0F);
    check_dense_backward(*device_, oracle_, x, numbers.matrix(32, 31), dz, below, true, {1});
  }
}

// ── Losses ──────────────────────────────────────────────────────────────────────────────────────

struct LossKind {
  Loss loss;
  Activation activation;
};

/// All that go together; neighbours differ in both.
std::vector<LossKind> loss_kinds() {
  std::vector<LossKind> kinds;
  for (const Activation activation : kAllActivations) {
    for (const Loss loss : kAllLosses) {
      if (loss == Loss::bce && activation != Activation::sigmoid) continue;
      kinds.push_back({loss, activation});
    }
  }
  return kinds;
}

void check_losses(Device& device, const Oracle& oracle, const LossKind& kind, const HostMatrix& z,
                  const std::vector<float>& bias, const HostMatrix& target, float scale) {
  SCOPED_TRACE(std::string(to_string(kind.loss)) + " of " +
               std::string(to_string(kind.activation)) + ", " + std::to_string(z.rows) + "x" +
               std::to_string(z.cols));
  const Oracle::Losses expected = oracle.losses(kind.loss, kind.activation, z, bias, target, scale);
  const Floats device_bias(device, std::span<const float>(bias));
  const Floats device_target(device, target);
  for (const bool in_place : {false, true}) {
    SCOPED_TRACE(in_place ? "in place" : "beside");
    const Floats device_z(device, z);
    const Floats dz(device, z.rows * z.cols);
    const Floats dbias(device, z.cols);
    constexpr double kBefore = 1000;
    const Guarded<double> sum(device, std::span(&kBefore, 1));
    device.run(ReconstructionLoss{.loss = kind.loss,
                                  .activation = kind.activation,
                                  .z = device_z.matrix(z.rows, z.cols),
                                  .bias = device_bias.tensor(),
                                  .target = device_target.matrix(z.rows, z.cols),
                                  .gradient_scale = scale,
                                  .dz = (in_place ? device_z : dz).matrix(z.rows, z.cols),
                                  .dbias = dbias.tensor(),
                                  .loss_sum = sum.tensor()});
    EXPECT_TRUE(near((in_place ? device_z : dz).read(), expected.dz));
    EXPECT_TRUE(near(dbias.read(), expected.dbias));
    // The sum comes on top of what was there; in double, where that costs some 1e-16 of it.
    const Expected total{kBefore + expected.sum.value,
                         expected.sum.tolerance + 1e-14 * (kBefore + expected.sum.value)};
    EXPECT_TRUE(near(sum.read(), std::span(&total, 1)));
    if (in_place) {
      EXPECT_TRUE(dz.is_untouched());
    } else {
      EXPECT_TRUE(device_z.is_untouched());
    }
  }
  const Floats device_z(device, z);
  const Guarded<double> rows(device, z.rows);
  device.run(RowLosses{.loss = kind.loss,
                       .activation = kind.activation,
                       .z = device_z.matrix(z.rows, z.cols),
                       .bias = device_bias.tensor(),
                       .target = device_target.matrix(z.rows, z.cols),
                       .sums = rows.column()});
  EXPECT_TRUE(near(rows.read(), expected.rows));
  EXPECT_TRUE(device_z.is_untouched());
  EXPECT_TRUE(device_target.is_untouched());
  EXPECT_TRUE(device_bias.is_untouched());
}

TEST_P(OpsTest, LossesAreRightAtEverySize) {
  Numbers numbers(10);
  const std::vector<LossKind> kinds = loss_kinds();
  std::size_t turn = 0;
  for (const Shape2& shape : matrix_shapes()) {
    const LossKind& kind = kinds[turn++ % kinds.size()];
    const HostMatrix z = numbers.matrix(shape.rows, shape.cols, -5, 5);
    const std::vector<float> bias = numbers.vector(shape.cols);
    const HostMatrix target = numbers.sparse_matrix(shape.rows, shape.cols, 0.3F);
    check_losses(*device_, oracle_, kind, z, bias, target, 1.0F / 784);
  }
}

TEST_P(OpsTest, LossesStandExtremes) {
  const HostMatrix z = extreme_logits(static_cast<std::int64_t>(kExtremeTargets.size()));
  const HostMatrix target = extreme_targets(z.rows);
  for (const LossKind& kind : loss_kinds()) {
    for (const float bias : {0.0F, -100.0F, kDenormal}) {
      for (const float scale : {1.0F, 1e-7F, -2.0F}) {
        check_losses(*device_, oracle_, kind, z,
                     std::vector<float>(static_cast<std::size_t>(z.cols), bias), target, scale);
      }
    }
  }
}

TEST_P(OpsTest, LossesAddUpOverSteps) {
  Numbers numbers(11);
  const HostMatrix z = numbers.matrix(40, 33, -5, 5);
  const HostMatrix target = numbers.matrix(40, 33, 0, 1);
  const std::vector<float> bias(33);
  const Expected once = oracle_.losses(Loss::bce, Activation::sigmoid, z, bias, target, 1).sum;
  const Floats device_z(*device_, z);
  const Floats device_bias(*device_, std::span<const float>(bias));
  const Floats device_target(*device_, target);
  const Floats dz(*device_, 40 * 33);
  const Floats dbias(*device_, 33);
  DeviceArray<double> sum(*device_, 1);
  for (int step = 0; step < 10; ++step) {
    device_->run(ReconstructionLoss{.z = device_z.matrix(40, 33),
                                    .bias = device_bias.tensor(),
                                    .target = device_target.matrix(40, 33),
                                    .dz = dz.matrix(40, 33),
                                    .dbias = dbias.tensor(),
                                    .loss_sum = sum.tensor()});
  }
  double total = 0;
  sum.download({&total, 1});
  EXPECT_NEAR(total, 10 * once.value, 10 * once.tolerance);
}

// ── The optimiser ───────────────────────────────────────────────────────────────────────────────

void check_optimizer(Device& device, const Oracle& oracle, const OptimizerOptions& options,
                     std::int64_t step_before, const std::vector<float>& parameters,
                     const std::vector<float>& gradients, const std::vector<float>& first,
                     const std::vector<float>& second) {
  SCOPED_TRACE(std::string(to_string(options.kind)) + ", " + std::to_string(parameters.size()) +
               " parameters after " + std::to_string(step_before) + " steps");
  const Oracle::OptimizerState expected =
      oracle.optimizer(options, step_before + 1, parameters, gradients, first, second);
  const Floats device_parameters(device, std::span<const float>(parameters));
  const Floats device_gradients(device, std::span<const float>(gradients));
  const Floats device_first(device, std::span<const float>(first));
  const Floats device_second(device, std::span<const float>(second));
  const Guarded<std::int64_t> step(device, std::span(&step_before, 1));
  const int states = optimizer_states(options.kind);
  device.run(OptimizerStep{.options = options,
                           .parameters = device_parameters.tensor(),
                           .gradients = device_gradients.tensor(),
                           .first = states > 0 ? device_first.tensor() : Matrix{},
                           .second = states > 1 ? device_second.tensor() : Matrix{},
                           .step = step.tensor()});
  EXPECT_TRUE(near(device_parameters.read(), expected.parameters));
  EXPECT_TRUE(near(device_first.read(), expected.first));
  EXPECT_TRUE(near(device_second.read(), expected.second));
  EXPECT_EQ(step.read().front(), step_before + 1);
  EXPECT_TRUE(device_gradients.is_untouched());
}

/// What an optimiser may have kept: means of squares are not negative, and are smaller.
std::vector<float> first_states(Numbers& numbers, Optimizer optimizer, std::int64_t count) {
  const bool is_square = optimizer == Optimizer::rmsprop || optimizer == Optimizer::adadelta;
  return is_square ? numbers.vector(count, 0, 1e-6F) : numbers.vector(count, -1e-3F, 1e-3F);
}

TEST_P(OpsTest, OptimizersAreRightAtEverySize) {
  Numbers numbers(12);
  for (const Optimizer optimizer : test::kAllOptimizers) {
    for (const std::int64_t count : {0, 1, 31, 32, 33, 257, 784, 4096, 4097, 50'992}) {
      // The largest once for each number of states; the emulated device takes long for it.
      if (count > 5000 && optimizer != Optimizer::adam && optimizer != Optimizer::sgd) continue;
      check_optimizer(*device_, oracle_, {.kind = optimizer}, count % 3, numbers.vector(count),
                      numbers.vector(count, -1e-3F, 1e-3F), first_states(numbers, optimizer, count),
                      numbers.vector(count, 0, 1e-6F));
    }
  }
}

TEST_P(OpsTest, OptimizersAreRightFromTheFirstStepToTheMillionth) {
  Numbers numbers(13);
  for (const Optimizer optimizer : test::kAllOptimizers) {
    for (const std::int64_t step_before : {0, 1, 2, 9, 99, 999, 999'999}) {
      for (OptimizerOptions options : {OptimizerOptions{},
                                       OptimizerOptions{.learning_rate = 0.1F,
                                       .beta1 = 0.5F,
                                       .beta2 = 0.9F,
                                       .epsilon = 1e-3F,
                                       .momentum = 0.5F,
                                       .rho = 0.99F,
                                       .weight_decay = 1e-2F},
                                       OptimizerOptions{.learning_rate = 1e-5F,
                                       .beta1 = 0.0F,
                                       .beta2 = 0.0F,
                                       .epsilon = 1.0F,
                                       .momentum = 0.0F,
                                       .rho = 0.0F,
                                       .weight_decay = 1.0F}}) {
        options.kind = optimizer;
        check_optimizer(*device_, oracle_, options, step_before, numbers.vector(100),
                        numbers.vector(100, -1e-2F, 1e-2F), first_states(numbers, optimizer, 100),
                        numbers.vector(100, 0, 1e-4F));
      }
    }
  }
}

TEST_P(OpsTest, OptimizersStandExtremes) {
  const std::vector<float> gradients{0,     1,      -1,        1e-20F, -1e-20F, kDenormal,
                                     1e10F, -1e10F, kSmallest, 1e-7F,  -1e-7F,  0};
  const std::size_t count = gradients.size();
  const std::vector<float> zeros(count);
  const std::vector<float> denormals(count, kDenormal);
  for (const Optimizer optimizer : test::kAllOptimizers) {
    // Black pixels: no gradient ever, and so no movement.
    check_optimizer(*device_, oracle_, {.kind = optimizer}, 0, std::vector<float>(count, 0.5F),
                    gradients, zeros, zeros);
    // Numbers that have decayed as far as floats go.
    check_optimizer(*device_, oracle_, {.kind = optimizer}, 5000, std::vector<float>(count, -0.5F),
                    gradients, denormals, denormals);
  }
}

}  // namespace
}  // namespace ae
