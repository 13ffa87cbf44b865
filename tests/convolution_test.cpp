// The operations on images on every target, against the oracle: kernels, strides and zeros around
// the image in all mixes, channels and batches that fit no block; then as training calls them
// together, recorded, and with the same bits for any number of threads.

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "convolution_oracle.hpp"
#include "device/device.hpp"
#include "guarded.hpp"
#include "numbers.hpp"
#include "targets.hpp"

namespace ae {
namespace {

using test::ConvolutionOracle;
using test::Expected;
using test::Floats;
using test::Guarded;
using test::HostMatrix;
using test::kAllActivations;
using test::near;
using test::Numbers;
using test::run_one_by_one;
using test::same_bits;
using test::Target;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

class ConvolutionTest : public ::testing::TestWithParam<Target> {
 protected:
  [[nodiscard]] bool is_slow() const { return GetParam().affordable(1, 0) == 0; }

  std::unique_ptr<Device> device_ = GetParam().make();
  ConvolutionOracle oracle_{GetParam().precision};
};

INSTANTIATE_TEST_SUITE_P(Targets, ConvolutionTest, ::testing::ValuesIn(test::targets_for_images()),
                         test::test_name);

// ── Convolutions ────────────────────────────────────────────────────────────────────────────────

std::string describe(const Convolution& c, std::int64_t batch) {
  const auto shape = [](const ImageShape& s) {
    return std::to_string(s.height) + "x" + std::to_string(s.width) + "x" +
           std::to_string(s.channels);
  };
  return shape(c.image) + (c.transposed ? " from " : " to ") + shape(c.map) + ", kernel " +
         std::to_string(c.kernel_height) + "x" + std::to_string(c.kernel_width) + ", stride " +
         std::to_string(c.stride) + ", zeros " + std::to_string(c.top) + " above and " +
         std::to_string(c.left) + " left, batch " + std::to_string(batch);
}

/// As large a map as fits with so many zeros on each side; at least 1 × 1.
Convolution with_zeros(const ImageShape& image, std::int64_t channels, std::int64_t kernel_height,
                       std::int64_t kernel_width, std::int64_t stride, std::int64_t top,
                       std::int64_t bottom, std::int64_t left, std::int64_t right) {
  const auto positions = [stride](std::int64_t size, std::int64_t kernel) {
    return std::max((size - kernel) / stride + 1, std::int64_t{1});
  };
  return {.image = image,
          .map = {positions(image.height + top + bottom, kernel_height),
                  positions(image.width + left + right, kernel_width), channels},
          .kernel_height = kernel_height,
          .kernel_width = kernel_width,
          .stride = stride,
          .top = top,
          .left = left};
}

/// "Same" as Keras has it: the map is image / stride, the odd zero goes below and right.
Convolution same(const ImageShape& image, std::int64_t channels, std::int64_t kernel,
                 std::int64_t stride) {
  const auto zeros = [&](std::int64_t size) {
    return std::max(((size - 1) / stride) * stride + kernel - size, std::int64_t{0});
  };
  const std::int64_t rows = zeros(image.height);
  const std::int64_t cols = zeros(image.width);
  return with_zeros(image, channels, kernel, kernel, stride, rows / 2, rows - rows / 2, cols / 2,
                    cols - cols / 2);
}

struct ConvolutionCase {
  Convolution convolution;
  std::int64_t batch;
};

/// Every kernel with every stride and way to put zeros; the channels and batches take turns.
std::vector<ConvolutionCase> convolution_cases(bool few) {
  constexpr std::array<std::int64_t, 9> kChannels{1, 3, 16, 4, 33, 5, 2, 32, 17};
  constexpr std::array<std::int64_t, 5> kBatches{5, 1, 33, 0, 2};
  constexpr std::array kImages{ImageShape{7, 5, 0}, ImageShape{6, 11, 0}, ImageShape{1, 8, 0},
                               ImageShape{15, 16, 0}};
  std::vector<ConvolutionCase> cases;
  std::size_t turn = 0;
  for (const std::int64_t kernel : {1, 2, 3, 5}) {
    for (const std::int64_t stride : {1, 2, 3}) {
      for (int zeros = 0; zeros < 4; ++zeros) {
        ++turn;
        ImageShape image = kImages[turn % kImages.size()];
        image.channels = kChannels[turn % kChannels.size()];
        const std::int64_t channels = kChannels[(turn / 2 + 3) % kChannels.size()];
        const auto sides = [&](std::int64_t top, std::int64_t bottom, std::int64_t left,
                               std::int64_t right) {
          return with_zeros(image, channels, kernel, std::max(kernel - zeros % 2, std::int64_t{1}),
                            stride, top, bottom, left, right);
        };
        Convolution convolution;
        if (zeros == 0) convolution = same(image, channels, kernel, stride);
        if (zeros == 1) convolution = sides(0, 0, 0, 0);
        if (zeros == 2) convolution = sides(kernel - 1, 0, 0, kernel / 2);
        if (zeros == 3) convolution = sides(kernel / 2, kernel, kernel + 1, 1);
        const std::int64_t batch = kBatches[turn % kBatches.size()];
        cases.push_back({convolution, few ? std::min(batch, std::int64_t{2}) : batch});
      }
    }
  }
  // Maps that do not use all of the image, or more than all.
  Convolution part{{9, 9, 3}, {2, 2, 5}, 3, 3, 2, 0, 1};
  cases.push_back({part, 3});
  part.map = {8, 7, 5};
  cases.push_back({part, 3});
  // Around the widths that kernels are cut by, and images of one value.
  cases.push_back({same({1, 1, 1}, 1, 3, 1), 70});
  cases.push_back({same({3, 29, 2}, 31, 3, 1), 3});
  if (few) return cases;
  cases.push_back({same({14, 13, 64}, 65, 3, 2), 3});
  cases.push_back({same({4, 4, 96}, 130, 3, 1), 37});  // the weights outweigh the images
  // The convolutional model that Keras has as an example.
  for (const Convolution& layer :
       {same({28, 28, 1}, 32, 3, 1), same({14, 14, 32}, 32, 3, 1), same({14, 14, 32}, 32, 3, 2),
        same({28, 28, 32}, 32, 3, 2), same({28, 28, 32}, 1, 3, 1)}) {
    cases.push_back({layer, 5});
  }
  return cases;
}

void check_forward(Device& device, const ConvolutionOracle& oracle, const Convolution& convolution,
                   const HostMatrix& x, const std::vector<float>& w, const std::vector<float>& bias,
                   Activation activation) {
  const std::int64_t outputs = convolution.output().size();
  const std::vector<Expected> z = oracle.pre_activation(convolution, x, w, bias);
  const Floats device_x(device, x);
  const Floats device_w(device, std::span<const float>(w));
  const Floats device_bias(device, std::span<const float>(bias));
  const Floats y(device, x.rows * outputs);
  const Floats kept(device, x.rows * outputs);
  const bool keeps = slope_from_input(activation);
  device.run(ConvolutionForward{.convolution = convolution,
                                .x = device_x.matrix(x.rows, x.cols),
                                .w = device_w.tensor(),
                                .bias = bias.empty() ? Matrix{} : device_bias.tensor(),
                                .activation = activation,
                                .y = y.matrix(x.rows, outputs),
                                .z = keeps ? kept.matrix(x.rows, outputs) : Matrix{}});
  EXPECT_TRUE(near(y.read(), oracle.forward(convolution, x, w, bias, activation)));
  if (keeps) {
    EXPECT_TRUE(near(kept.read(), z));
  } else {
    EXPECT_TRUE(kept.is_untouched());
  }
  EXPECT_TRUE(device_x.is_untouched());
  EXPECT_TRUE(device_w.is_untouched());
  EXPECT_TRUE(device_bias.is_untouched());
}

void check_backward(Device& device, const ConvolutionOracle& oracle, const Convolution& convolution,
                    const HostMatrix& x, const std::vector<float>& w, const HostMatrix& dz) {
  const ConvolutionOracle::Gradients expected = oracle.backward(convolution, x, w, dz);
  const Floats device_x(device, x);
  const Floats device_w(device, std::span<const float>(w));
  const Floats device_dz(device, dz);
  for (const bool has_dx : {true, false}) {
    SCOPED_TRACE(has_dx ? "with dx" : "without dx");
    const Floats dw(device, convolution.weights());
    const Floats dx(device, x.rows * x.cols);
    device.run(ConvolutionBackward{.convolution = convolution,
                                   .x = device_x.matrix(x.rows, x.cols),
                                   .w = device_w.tensor(),
                                   .dz = device_dz.matrix(dz.rows, dz.cols),
                                   .dw = dw.tensor(),
                                   .dx = has_dx ? dx.matrix(x.rows, x.cols) : Matrix{}});
    EXPECT_TRUE(near(dw.read(), expected.dw));
    if (has_dx) {
      EXPECT_TRUE(near(dx.read(), expected.dx));
    } else {
      EXPECT_TRUE(dx.is_untouched());
    }
    EXPECT_TRUE(device_x.is_untouched());
    EXPECT_TRUE(device_w.is_untouched());
    EXPECT_TRUE(device_dz.is_untouched());
  }
}

TEST_P(ConvolutionTest, BothPassesAreRightAtEveryShape) {
  Numbers numbers(41);
  std::size_t turn = 0;
  for (ConvolutionCase work : convolution_cases(is_slow())) {
    for (const bool transposed : {false, true}) {
      work.convolution.transposed = transposed;
      SCOPED_TRACE(describe(work.convolution, work.batch));
      const HostMatrix x = numbers.matrix(work.batch, work.convolution.input().size());
      const std::vector<float> w = numbers.vector(work.convolution.weights());
      const std::vector<float> bias = numbers.vector(work.convolution.output().channels);
      const Activation activation = kAllActivations[turn++ % kAllActivations.size()];
      const bool without_bias = turn % 5 == 0;
      check_forward(*device_, oracle_, work.convolution, x, w,
                    without_bias ? std::vector<float>{} : bias, activation);
      check_backward(*device_, oracle_, work.convolution, x, w,
                     numbers.matrix(work.batch, work.convolution.output().size()));
    }
  }
}

TEST_P(ConvolutionTest, ConvolutionsStandExtremes) {
  Numbers numbers(42);
  for (const bool transposed : {false, true}) {
    Convolution convolution = same({5, 4, 2}, 3, 3, 2);
    convolution.transposed = transposed;
    HostMatrix x = numbers.matrix(5, convolution.input().size());
    const auto image = static_cast<std::ptrdiff_t>(x.cols);
    std::fill_n(x.values.begin(), image, 0.0F);
    std::fill_n(x.values.begin() + image, image, 1e-40F);
    std::fill_n(x.values.begin() + 2 * image, image, 1e20F);
    std::vector<float> w = numbers.vector(convolution.weights());
    w[0] = 0;
    w[1] = 1e-40F;
    w[2] = 1e10F;
    HostMatrix dz = numbers.matrix(5, convolution.output().size());
    dz.values[0] = 1e6F;
    dz.values[1] = 0;
    std::vector<float> bias{1e-40F, 0, -1};
    bias.resize(static_cast<std::size_t>(convolution.output().channels));
    check_forward(*device_, oracle_, convolution, x, w, bias, Activation::relu);
    check_backward(*device_, oracle_, convolution, x, w, dz);
  }
}

/// Whatever a kernel reads beside its window must not reach the result.
TEST_P(ConvolutionTest, NanStaysWithinItsImageAndItsWindows) {
  for (const ImageShape image : {ImageShape{6, 7, 3}, ImageShape{4, 4, 17}}) {
    const Convolution convolution = same(image, 3, 3, 1);
    HostMatrix x = Numbers(43).matrix(3, image.size());
    const std::int64_t of_image = image.size() / 2 / image.channels;  // a pixel of the second
    x.values[static_cast<std::size_t>(image.size() + of_image * image.channels)] = kNaN;
    const std::vector<float> w = Numbers(44).vector(convolution.weights(), 0.5F, 1);
    const Floats device_x(*device_, x);
    const Floats device_w(*device_, std::span<const float>(w));
    const Floats y(*device_, 3 * convolution.map.size());
    device_->run(ConvolutionForward{.convolution = convolution,
                                    .x = device_x.matrix(3, image.size()),
                                    .w = device_w.tensor(),
                                    .y = y.matrix(3, convolution.map.size())});
    const std::vector<float> values = y.read();
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(values.size()); ++i) {
      const std::int64_t pixel = i / 3 - image.height * image.width;  // of the second image
      const bool sees = pixel >= 0 && pixel < image.height * image.width &&
                        std::abs(pixel / image.width - of_image / image.width) <= 1 &&
                        std::abs(pixel % image.width - of_image % image.width) <= 1;
      EXPECT_EQ(std::isnan(values[static_cast<std::size_t>(i)]), sees) << "value " << i;
    }
  }
}

/// The oracle's gradients are those of its convolution: a convolution is linear in x and in W, so
/// that differences are exact, and whole numbers have no rounding.
TEST(ConvolutionOracle, HasTheGradientsOfItsConvolution) {
  Numbers numbers(45);
  const auto whole = [&](std::int64_t size) {
    std::vector<float> values = numbers.vector(size, -5, 5);
    for (float& value : values) value = std::round(value);
    return values;
  };
  const ConvolutionOracle oracle;
  for (Convolution convolution :
       {same({4, 5, 2}, 3, 3, 2), with_zeros({5, 3, 1}, 2, 2, 3, 1, 2, 0, 0, 1),
        with_zeros({7, 7, 2}, 1, 3, 2, 3, 1, 1, 2, 0)}) {
    for (const bool transposed : {false, true}) {
      convolution.transposed = transposed;
      SCOPED_TRACE(describe(convolution, 2));
      const std::int64_t inputs = convolution.input().size();
      const std::int64_t outputs = convolution.output().size();
      HostMatrix x{2, inputs, whole(2 * inputs)};
      std::vector<float> w = whole(convolution.weights());
      const HostMatrix dz{2, outputs, whole(2 * outputs)};
      const ConvolutionOracle::Gradients gradients = oracle.backward(convolution, x, w, dz);
      const auto loss = [&] {  // Σ dz·z
        double sum = 0;
        const std::vector<Expected> z = oracle.pre_activation(convolution, x, w, {});
        for (std::size_t i = 0; i < z.size(); ++i) {
          sum += z[i].value * static_cast<double>(dz.values[i]);
        }
        return sum;
      };
      const double before = loss();
      const auto check = [&](std::vector<float>& values, const std::vector<Expected>& gradient) {
        for (std::size_t i = 0; i < values.size(); ++i) {
          values[i] += 1;
          EXPECT_EQ(loss() - before, gradient[i].value) << "number " << i;
          values[i] -= 1;
        }
      };
      check(x.values, gradients.dx);
      check(w, gradients.dw);
    }
  }
}

// ── Pooling and upsampling ──────────────────────────────────────────────────────────────────────

struct PoolingCase {
  ImageShape image;
  std::int64_t size;
  std::int64_t batch;
};

constexpr std::array kPoolingCases{PoolingCase{{4, 6, 3}, 2, 33}, PoolingCase{{5, 7, 1}, 2, 3},
                                   PoolingCase{{7, 5, 70}, 3, 5}, PoolingCase{{1, 1, 5}, 2, 1},
                                   PoolingCase{{9, 4, 64}, 4, 2}, PoolingCase{{3, 3, 2}, 1, 70},
                                   PoolingCase{{6, 6, 32}, 2, 0}, PoolingCase{{2, 2, 129}, 5, 2}};

TEST_P(ConvolutionTest, MaxPoolTakesTheFirstLargestOfEachWindow) {
  Numbers numbers(46);
  for (const PoolingCase& work : kPoolingCases) {
    SCOPED_TRACE(std::to_string(work.image.height) + "x" + std::to_string(work.image.width) + "x" +
                 std::to_string(work.image.channels) + " by " + std::to_string(work.size) +
                 ", batch " + std::to_string(work.batch));
    const std::int64_t inputs = work.image.size();
    const std::int64_t outputs = (work.image.height + work.size - 1) / work.size *
                                 ((work.image.width + work.size - 1) / work.size) *
                                 work.image.channels;
    HostMatrix ties = numbers.matrix(work.batch, inputs, -2, 2);
    for (float& value : ties.values) value = std::round(value);
    for (const HostMatrix& x : {numbers.matrix(work.batch, inputs), ties,
                                numbers.matrix(work.batch, inputs, -2e30F, -1e30F)}) {
      const HostMatrix dy = numbers.matrix(work.batch, outputs);
      const Floats device_x(*device_, x);
      const Floats device_dy(*device_, dy);
      const Floats y(*device_, work.batch * outputs);
      const Floats dx(*device_, work.batch * inputs);
      device_->run(MaxPoolForward{.input = work.image,
                                  .size = work.size,
                                  .x = device_x.matrix(work.batch, inputs),
                                  .y = y.matrix(work.batch, outputs)});
      device_->run(MaxPoolBackward{.input = work.image,
                                   .size = work.size,
                                   .x = device_x.matrix(work.batch, inputs),
                                   .dy = device_dy.matrix(work.batch, outputs),
                                   .dx = dx.matrix(work.batch, inputs)});
      EXPECT_EQ(y.read(), max_pool_forward(work.image, work.size, x));
      EXPECT_EQ(dx.read(), max_pool_backward(work.image, work.size, x, dy));
      EXPECT_TRUE(device_x.is_untouched());
      EXPECT_TRUE(device_dy.is_untouched());
    }
  }
}

TEST_P(ConvolutionTest, UpsamplingRepeatsAndItsGradientAdds) {
  Numbers numbers(47);
  for (const PoolingCase& work : kPoolingCases) {
    if (is_slow() && work.image.size() * work.batch > 400) continue;
    const std::int64_t inputs = work.image.size();
    const std::int64_t outputs = inputs * work.size * work.size;
    const HostMatrix x = numbers.matrix(work.batch, inputs);
    const HostMatrix dy = numbers.matrix(work.batch, outputs);
    const Floats device_x(*device_, x);
    const Floats device_dy(*device_, dy);
    const Floats y(*device_, work.batch * outputs);
    const Floats dx(*device_, work.batch * inputs);
    device_->run(UpsampleForward{.input = work.image,
                                 .factor = work.size,
                                 .x = device_x.matrix(work.batch, inputs),
                                 .y = y.matrix(work.batch, outputs)});
    device_->run(UpsampleBackward{.input = work.image,
                                  .factor = work.size,
                                  .dy = device_dy.matrix(work.batch, outputs),
                                  .dx = dx.matrix(work.batch, inputs)});
    EXPECT_EQ(y.read(), upsample_forward(work.image, work.size, x));
    EXPECT_TRUE(near(dx.read(), oracle_.upsample_backward(work.image, work.size, dy)));
    EXPECT_TRUE(device_x.is_untouched());
    EXPECT_TRUE(device_dy.is_untouched());
  }
}

// ── Biases that repeat ──────────────────────────────────────────────────────────────────────────

struct RepeatCase {
  std::int64_t rows;
  std::int64_t cols;
  std::int64_t channels;
};

constexpr std::array kRepeatCases{
    RepeatCase{33, 784, 1}, RepeatCase{5, 784, 4},    RepeatCase{3, 1089, 33},
    RepeatCase{70, 26, 2},  RepeatCase{1, 13, 1},     RepeatCase{4, 6, 6},
    RepeatCase{2, 1030, 5}, RepeatCase{0, 12, 3},     RepeatCase{2, 1568, 32},
    RepeatCase{35, 31, 31}, RepeatCase{1, 2054, 1027}};

std::string describe(const RepeatCase& work) {
  return std::to_string(work.rows) + "x" + std::to_string(work.cols) + ", " +
         std::to_string(work.channels) + " channels";
}

TEST_P(ConvolutionTest, ActivationBackwardSumsOverPixels) {
  Numbers numbers(48);
  for (const RepeatCase& work : kRepeatCases) {
    for (const Activation activation : kAllActivations) {
      if (is_slow() && activation != Activation::gelu && activation != Activation::relu) continue;
      SCOPED_TRACE(describe(work) + ", " + std::string(to_string(activation)));
      const bool keeps = slope_from_input(activation);
      const HostMatrix saved = keeps ? numbers.matrix(work.rows, work.cols, -4, 4)
                                     : numbers.outputs(activation, work.rows, work.cols);
      const HostMatrix dy = numbers.matrix(work.rows, work.cols);
      const ConvolutionOracle::BiasGradients expected =
          oracle_.activation_backward(activation, saved, dy, work.channels);
      const Floats device_saved(*device_, saved);
      const Floats unused(*device_, work.rows * work.cols);
      const Floats device_dy(*device_, dy);
      const Floats dbias(*device_, work.channels);
      device_->run(
          ActivationBackward{.activation = activation,
                             .y = (keeps ? unused : device_saved).matrix(work.rows, work.cols),
                             .z = keeps ? device_saved.matrix(work.rows, work.cols) : Matrix{},
                             .dy = device_dy.matrix(work.rows, work.cols),
                             .channels = work.channels,
                             .dbias = dbias.tensor()});
      EXPECT_TRUE(near(device_dy.read(), expected.dz));
      EXPECT_TRUE(near(dbias.read(), expected.dbias));
      EXPECT_TRUE(device_saved.is_untouched());
    }
  }
}

TEST_P(ConvolutionTest, LossesTakeBiasesThatRepeat) {
  Numbers numbers(49);
  std::size_t turn = 0;
  for (const RepeatCase& work : kRepeatCases) {
    for (const Loss loss : {Loss::bce, Loss::mse}) {
      SCOPED_TRACE(describe(work) + ", " + std::string(to_string(loss)));
      const Activation activation =
          loss == Loss::bce ? Activation::sigmoid : kAllActivations[turn++ % 9];
      const HostMatrix z = numbers.matrix(work.rows, work.cols, -5, 5);
      const HostMatrix target = numbers.matrix(work.rows, work.cols, 0, 1);
      // One before it, so that it is not aligned to anything.
      const std::vector<float> bias = numbers.vector(work.channels + 1);
      std::vector<float> repeated;
      for (std::int64_t col = 0; col < work.cols; ++col) {
        repeated.push_back(bias[static_cast<std::size_t>(1 + col % work.channels)]);
      }
      const ConvolutionOracle::Losses expected =
          oracle_.losses(loss, activation, z, repeated, target, 0.25F);
      const Floats device_z(*device_, z);
      const Floats device_bias(*device_, std::span<const float>(bias));
      const Floats device_target(*device_, target);
      const Floats dz(*device_, work.rows * work.cols);
      const Floats dbias(*device_, work.channels);
      const double nothing = 0;
      const Guarded<double> sum(*device_, std::span(&nothing, 1));
      const Guarded<double> rows(*device_, work.rows);
      device_->run(ReconstructionLoss{.loss = loss,
                                      .activation = activation,
                                      .z = device_z.matrix(work.rows, work.cols),
                                      .bias = vector_of(device_bias.data() + 1, work.channels),
                                      .target = device_target.matrix(work.rows, work.cols),
                                      .gradient_scale = 0.25F,
                                      .dz = dz.matrix(work.rows, work.cols),
                                      .dbias = dbias.tensor(),
                                      .loss_sum = sum.tensor()});
      device_->run(RowLosses{.loss = loss,
                             .activation = activation,
                             .z = device_z.matrix(work.rows, work.cols),
                             .bias = vector_of(device_bias.data() + 1, work.channels),
                             .target = device_target.matrix(work.rows, work.cols),
                             .sums = rows.column()});
      EXPECT_TRUE(near(dz.read(), expected.dz));
      EXPECT_TRUE(near(dbias.read(), oracle_.fold(expected.dbias, work.channels)));
      EXPECT_TRUE(near(sum.read(), std::span(&expected.sum, 1)));
      EXPECT_TRUE(near(rows.read(), expected.rows));
      EXPECT_TRUE(device_z.is_untouched());
      EXPECT_TRUE(device_bias.is_untouched());
      EXPECT_TRUE(device_target.is_untouched());
    }
  }
}

// ── Together ────────────────────────────────────────────────────────────────────────────────────

/// A step of a small convolutional autoencoder with all that there is for images, and a dense layer
/// among it: 6x8x2 → convolution 6x8x3 → pooling 3x4x3 → dense 36 → transposed convolution 6x8x4 →
/// upsampling 12x16x4 → convolution 6x8x2.
class SmallImageTraining {
 public:
  SmallImageTraining(Device& device, std::int64_t batch)
      : batch_(batch),
        parameters_(device, std::span<const float>(Numbers(50).vector(kParameters, -0.3F, 0.3F))),
        gradients_(device, std::span<const float>(zeros())),
        m_(device, std::span<const float>(zeros())),
        v_(device, std::span<const float>(zeros())),
        image_(device, std::span<const float>(Numbers(51).vector(batch * kImage.size(), 0, 1))),
        sum_(device, std::span(&kNoLoss, 1)),
        step_(device, std::span(&kNoStep, 1)),
        unused_(device, kUnits) {
    for (const std::int64_t size : kSizes) {
      outputs_.push_back(std::make_unique<Floats>(device, batch * size));
      output_gradients_.push_back(std::make_unique<Floats>(device, batch * size));
    }
  }

  [[nodiscard]] Step step() const {
    Step step;
    forward(step);
    backward(step);
    step.add(OptimizerStep{.options = {.learning_rate = 0.01F},
                           .parameters = parameters_.tensor(),
                           .gradients = gradients_.tensor(),
                           .first = m_.tensor(),
                           .second = v_.tensor(),
                           .step = step_.tensor()});
    return step;
  }

  [[nodiscard]] bool is_untouched() const {
    return parameters_.is_untouched() && gradients_.is_untouched() && sum_.is_untouched() &&
           outputs_.front()->is_untouched() && output_gradients_.front()->is_untouched();
  }

  /// Everything it has computed.
  [[nodiscard]] std::vector<float> state() const {
    std::vector<float> all;
    const auto append = [&](const Floats& array) {
      const std::vector<float> values = array.read();
      all.insert(all.end(), values.begin(), values.end());
    };
    for (const Floats* array : {&parameters_, &gradients_, &m_, &v_}) append(*array);
    for (const auto& array : outputs_) append(*array);
    for (const auto& array : output_gradients_) append(*array);
    const auto sum = std::bit_cast<std::array<float, 2>>(loss_sum());
    all.insert(all.end(), sum.begin(), sum.end());
    return all;
  }
  [[nodiscard]] double loss_sum() const { return sum_.read().front(); }

 private:
  static constexpr ImageShape kImage{6, 8, 2};
  static constexpr ImageShape kPooled{3, 4, 3};
  static constexpr ImageShape kDecoded{6, 8, 4};
  static constexpr std::int64_t kUnits = 3 * 4 * 3;

  static constexpr Convolution kConvolution{kImage, {6, 8, 3}, 3, 3, 1, 1, 1, false};
  static constexpr Convolution kTransposed{kDecoded, kPooled, 3, 3, 2, 0, 0, true};
  static constexpr Convolution kLast{{12, 16, 4}, kImage, 3, 3, 2, 0, 0, false};

  // What is computed: the convolution and its inputs z, pooled, dense, decoded, upsampled, logits.
  static constexpr std::array<std::int64_t, 7> kSizes{144, 144, kUnits, kUnits, 192, 768, 96};

  // Where parameters lie, W and then b.
  static constexpr std::int64_t kW0 = 0;
  static constexpr std::int64_t kB0 = kW0 + 3 * 3 * 2 * 3;
  static constexpr std::int64_t kW1 = kB0 + 3;
  static constexpr std::int64_t kB1 = kW1 + kUnits * kUnits;
  static constexpr std::int64_t kW2 = kB1 + kUnits;
  static constexpr std::int64_t kB2 = kW2 + 3 * 3 * 4 * 3;
  static constexpr std::int64_t kW3 = kB2 + 4;
  static constexpr std::int64_t kB3 = kW3 + 3 * 3 * 4 * 2;
  static constexpr std::int64_t kParameters = kB3 + 2;

  static constexpr double kNoLoss = 0;
  static constexpr std::int64_t kNoStep = 0;

  static std::vector<float> zeros() {
    return std::vector<float>(static_cast<std::size_t>(kParameters));
  }
  [[nodiscard]] Matrix y(std::size_t i) const { return outputs_[i]->matrix(batch_, kSizes[i]); }
  [[nodiscard]] Matrix dy(std::size_t i) const {
    return output_gradients_[i]->matrix(batch_, kSizes[i]);
  }
  [[nodiscard]] Matrix image() const { return image_.matrix(batch_, kImage.size()); }
  [[nodiscard]] float* parameter(std::int64_t at) const { return parameters_.data() + at; }
  [[nodiscard]] float* gradient(std::int64_t at) const { return gradients_.data() + at; }

  void forward(Step& step) const {
    step.add(ConvolutionForward{.convolution = kConvolution,
                                .x = image(),
                                .w = vector_of(parameter(kW0), kConvolution.weights()),
                                .bias = vector_of(parameter(kB0), 3),
                                .activation = Activation::gelu,
                                .y = y(0),
                                .z = y(1)});
    step.add(MaxPoolForward{.input = kConvolution.map, .x = y(0), .y = y(2)});
    step.add(DenseForward{.x = y(2),
                          .w = {parameter(kW1), kUnits, kUnits},
                          .bias = vector_of(parameter(kB1), kUnits),
                          .activation = Activation::tanh,
                          .y = y(3)});
    step.add(ConvolutionForward{.convolution = kTransposed,
                                .x = y(3),
                                .w = vector_of(parameter(kW2), kTransposed.weights()),
                                .bias = vector_of(parameter(kB2), 4),
                                .activation = Activation::relu,
                                .y = y(4)});
    step.add(UpsampleForward{.input = kDecoded, .x = y(4), .y = y(5)});
    step.add(ConvolutionForward{.convolution = kLast,
                                .x = y(5),
                                .w = vector_of(parameter(kW3), kLast.weights()),
                                .y = y(6)});
  }

  void backward(Step& step) const {
    step.add(ReconstructionLoss{.z = y(6),
                                .bias = vector_of(parameter(kB3), 2),
                                .target = image(),
                                .gradient_scale = 1.0F / static_cast<float>(batch_ * kImage.size()),
                                .dz = dy(6),
                                .dbias = vector_of(gradient(kB3), 2),
                                .loss_sum = sum_.tensor()});
    step.add(ConvolutionBackward{.convolution = kLast,
                                 .x = y(5),
                                 .w = vector_of(parameter(kW3), kLast.weights()),
                                 .dz = dy(6),
                                 .dw = vector_of(gradient(kW3), kLast.weights()),
                                 .dx = dy(5)});
    step.add(UpsampleBackward{.input = kDecoded, .dy = dy(5), .dx = dy(4)});
    step.add(ActivationBackward{.activation = Activation::relu,
                                .y = y(4),
                                .dy = dy(4),
                                .channels = kDecoded.channels,
                                .dbias = vector_of(gradient(kB2), 4)});
    step.add(ConvolutionBackward{.convolution = kTransposed,
                                 .x = y(3),
                                 .w = vector_of(parameter(kW2), kTransposed.weights()),
                                 .dz = dy(4),
                                 .dw = vector_of(gradient(kW2), kTransposed.weights()),
                                 .dx = dy(3)});
    step.add(ActivationBackward{.activation = Activation::tanh,
                                .y = y(3),
                                .dy = dy(3),
                                .channels = kUnits,
                                .dbias = vector_of(gradient(kB1), kUnits)});
    step.add(DenseBackward{.x = y(2),
                           .w = {parameter(kW1), kUnits, kUnits},
                           .dz = dy(3),
                           .dw = {gradient(kW1), kUnits, kUnits},
                           .dx = dy(2),
                           .dbias_below = unused_.tensor()});
    step.add(MaxPoolBackward{.input = kConvolution.map, .x = y(0), .dy = dy(2), .dx = dy(0)});
    step.add(ActivationBackward{.activation = Activation::gelu,
                                .y = y(0),
                                .z = y(1),
                                .dy = dy(0),
                                .channels = kConvolution.map.channels,
                                .dbias = vector_of(gradient(kB0), 3)});
    step.add(ConvolutionBackward{.convolution = kConvolution,
                                 .x = image(),
                                 .w = vector_of(parameter(kW0), kConvolution.weights()),
                                 .dz = dy(0),
                                 .dw = vector_of(gradient(kW0), kConvolution.weights())});
  }

  std::int64_t batch_;
  Floats parameters_;
  Floats gradients_;
  Floats m_;
  Floats v_;
  Floats image_;
  Guarded<double> sum_;
  Guarded<std::int64_t> step_;
  std::vector<std::unique_ptr<Floats>> outputs_;
  std::vector<std::unique_ptr<Floats>> output_gradients_;
  DeviceArray<float> unused_;
};

TEST_P(ConvolutionTest, ARecordedStepIsTheCalledOne) {
  for (const std::int64_t batch : {1, 6, 37}) {
    if (is_slow() && batch > 6) continue;
    SmallImageTraining called(*device_, batch);
    SmallImageTraining replayed(*device_, batch);
    const std::unique_ptr<Program> step = device_->compile(replayed.step());
    EXPECT_TRUE(replayed.is_untouched()) << "recording must not run";
    double before = std::numeric_limits<double>::infinity();
    double sum = 0;
    for (int i = 0; i < GetParam().affordable(10, 2); ++i) {
      run_one_by_one(*device_, called.step());
      step->replay(1);
      EXPECT_TRUE(same_bits<float>(called.state(), replayed.state())) << "step " << i;
      const double loss = called.loss_sum() - sum;
      EXPECT_LT(loss, before) << "step " << i;
      before = loss;
      sum = called.loss_sum();
    }
  }
}

TEST_P(ConvolutionTest, AnyNumberOfThreadsGivesTheSameBits) {
  const Target& target = GetParam();
  if (target.thread_counts().size() < 2) GTEST_SKIP() << "there are no threads to count";
  for (const std::int64_t batch : {5, 70}) {
    const auto state_with = [&](int threads) {
      const std::unique_ptr<Device> device = target.with_threads(threads).make();
      SmallImageTraining training(*device, batch);
      const std::unique_ptr<Program> step = device->compile(training.step());
      for (int i = 0; i < 3; ++i) step->replay(1);
      return training.state();
    };
    const std::vector<float> one = state_with(1);
    for (const int threads : {2, 3, 8}) {
      EXPECT_TRUE(same_bits<float>(one, state_with(threads))) << threads << " threads";
    }
  }
}

}  // namespace
}  // namespace ae
