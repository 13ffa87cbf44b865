// Whole trainings through the public interface: that they learn, give the same bits again, stop
// when asked and refuse what cannot be learnt from. The small data set is made up (see
// tools/make_synthetic_digits.py); real MNIST is used where it is at hand.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ae/dataset.hpp"
#include "ae/error.hpp"
#include "ae/infer.hpp"
#include "ae/model.hpp"
#include "ae/train.hpp"

#include "error_message.hpp"
#include "test_data.hpp"
#include "train/shuffle.hpp"

namespace ae {
namespace {

using test::digits;
using test::error_of;
using test::says;

/// The Keras example's model for them, in its first state.
Model keras_model(std::uint64_t seed = 1) {
  return Model::initialize(dense_autoencoder({28, 28}, {32}), seed);
}

TrainOptions quick_options(std::int64_t epochs = 2) {
  TrainOptions options;
  options.epochs = epochs;
  options.batch_size = 32;
  options.device.device = "cpu";
  return options;
}

/// The loss of the best that is the same for every row: the mean image.
double mean_image_loss(const Dataset& data) {
  const auto size = static_cast<std::size_t>(data.row_size());
  std::vector<double> mean(size);
  std::vector<float> row(size);
  for (std::int64_t i = 0; i < data.rows(); ++i) {
    data.copy_row(i, row);
    for (std::size_t c = 0; c < size; ++c) mean[c] += static_cast<double>(row[c]);
  }
  double loss = 0;
  for (double& p : mean) {
    p /= static_cast<double>(data.rows());
    if (p > 0 && p < 1) loss -= p * std::log(p) + (1 - p) * std::log(1 - p);
  }
  return loss / static_cast<double>(size);
}

// ── Learning ────────────────────────────────────────────────────────────────────────────────────

TEST(Training, TheSyntheticDigitsAreWhatTheyAreMeantToBe) {
  EXPECT_EQ(digits().rows(), 400);
  EXPECT_EQ(digits().row_shape(), (Shape{28, 28}));
  EXPECT_TRUE(digits().is_bytes());
  EXPECT_NEAR(digits().density(), 0.19, 0.01);  // MNIST's is 0.19 as well
}

TEST(Training, LearnsFarMoreThanTheMeanImage) {
  Model model = keras_model();
  const TrainResult result = train(model, digits(), nullptr, quick_options(30));
  ASSERT_EQ(result.epochs.size(), 30U);
  EXPECT_FALSE(result.interrupted);
  EXPECT_EQ(result.device, "cpu");
  // It begins near ln 2, a coin tossed for each pixel; the mean image has 0.242; this gets to
  // 0.136.
  EXPECT_NEAR(result.epochs.front().train_loss, 0.66, 0.03);
  EXPECT_GT(mean_image_loss(digits()), 0.24);
  EXPECT_LT(result.epochs.back().train_loss, 0.14);
  for (std::size_t i = 10; i < 30; ++i) {
    EXPECT_LT(result.epochs[i].train_loss, result.epochs[i - 10].train_loss);
  }
}

TEST(Training, DeepModelsLearnWithEitherLossAndReduction) {
  struct Case {
    Loss loss;
    Reduction reduction;
    Activation activation;
  };
  for (const Case& c : {Case{Loss::bce, Reduction::mean, Activation::relu},
                        Case{Loss::mse, Reduction::mean, Activation::tanh},
                        Case{Loss::mse, Reduction::sum, Activation::sigmoid},
                        Case{Loss::bce, Reduction::sum, Activation::identity}}) {
    Model model = Model::initialize(dense_autoencoder({28, 28}, {48, 24, 12}, c.activation), 1);
    TrainOptions options = quick_options(10);
    options.batch_size = 20;
    options.optimizer.learning_rate = 0.003F;
    options.loss = c.loss;
    options.reduction = c.reduction;
    const TrainResult result = train(model, digits(), nullptr, options);
    EXPECT_LT(result.epochs.back().train_loss, 0.65 * result.epochs.front().train_loss)
        << to_string(c.loss) << " " << to_string(c.reduction) << " " << to_string(c.activation);
  }
}

TEST(Training, TheSumIsTheMeanTimesTheElements) {
  const auto first_loss = [](Loss loss, Reduction reduction) {
    Model model = keras_model();
    TrainOptions options = quick_options(1);
    options.batch_size = digits().rows();  // one step: the loss before any update
    options.loss = loss;
    options.reduction = reduction;
    return train(model, digits(), nullptr, options).epochs.at(0).train_loss;
  };
  for (const Loss loss : {Loss::bce, Loss::mse}) {
    const double mean = first_loss(loss, Reduction::mean);
    EXPECT_NEAR(first_loss(loss, Reduction::sum), 784 * mean, 1e-9 * 784 * mean);
    EXPECT_NEAR(evaluate(keras_model(), digits(), {.loss = loss}, {"cpu", 1}).loss, mean,
                1e-6 * mean);
  }
}

TEST(Training, ValidationIsTheLossOfTheModelAfterTheEpoch) {
  const Dataset held_out = digits().first(77);
  Model model = keras_model();
  const TrainResult result = train(model, digits(), &held_out, quick_options());
  ASSERT_EQ(result.epochs.size(), 2U);
  EXPECT_EQ(result.epochs.back().validation_loss, evaluate(model, held_out, {}, {"cpu", 1}).loss);
  EXPECT_LT(result.epochs.back().validation_loss, result.epochs.front().validation_loss);

  Model alone = keras_model();
  const TrainResult without = train(alone, digits(), nullptr, quick_options());
  EXPECT_TRUE(std::isnan(without.epochs.back().validation_loss));
  EXPECT_EQ(alone.parameters, model.parameters);
}

TEST(Training, NoEpochsLeaveTheModelAsItIs) {
  Model model = keras_model();
  EXPECT_TRUE(train(model, digits(), nullptr, quick_options(0)).epochs.empty());
  EXPECT_EQ(model.parameters, keras_model().parameters);
}

TEST(Training, GapsBetweenTensorsStayZero) {
  Model model = Model::initialize(dense_autoencoder({28, 28}, {33, 5}), 1);
  train(model, digits(), nullptr, quick_options());
  std::vector<float> gaps = model.parameters;
  for (const LayerSlice& slice : layer_slices(model.spec)) {
    for (const TensorSlice& tensor : slice.tensors) {
      std::fill_n(gaps.begin() + tensor.offset, tensor.size(), 0.0F);
    }
  }
  EXPECT_EQ(gaps, std::vector<float>(gaps.size()));
}

// ── The same bits ───────────────────────────────────────────────────────────────────────────────

struct Trained {
  std::vector<float> parameters;
  std::vector<double> losses;

  bool operator==(const Trained&) const = default;
};

Trained trained(int threads, std::uint64_t seed, const ModelSpec& spec,
                std::int64_t batch_size = 32) {
  Model model = Model::initialize(spec, 1);
  TrainOptions options = quick_options();
  options.batch_size = batch_size;
  options.seed = seed;
  options.device.threads = threads;
  const Dataset held_out = digits().first(50);
  Trained result;
  for (const EpochResult& epoch : train(model, digits(), &held_out, options).epochs) {
    result.losses.push_back(epoch.train_loss);
    result.losses.push_back(epoch.validation_loss);
  }
  result.parameters = model.parameters;
  return result;
}

TEST(Training, GivesTheSameBitsWhateverTheThreads) {
  for (const ModelSpec& spec : {dense_autoencoder({28, 28}, {32}),
                                dense_autoencoder({28, 28}, {33, 8}, Activation::tanh)}) {
    for (const std::int64_t batch_size : {31, 256, 400}) {
      const Trained first = trained(1, 1, spec, batch_size);
      for (const int threads : {1, 2, 4}) {
        EXPECT_EQ(trained(threads, 1, spec, batch_size), first)
            << threads << " threads, batch " << batch_size;
      }
    }
  }
}

/// The losses of the Keras example on 120 rows, short last batch and held-out rows included.
TEST(Training, TheEmulatedDeviceLearnsWhatTheCpuLearns) {
  const Dataset rows = digits().first(120);
  const Dataset held_out = digits().first(40);
  const auto train_on = [&](const char* device) {
    Model model = keras_model();
    TrainOptions options = quick_options();
    options.device.device = device;
    TrainResult result = train(model, rows, &held_out, options);
    return std::pair(result, model.parameters);
  };
  const auto [cpu, cpu_parameters] = train_on("cpu");
  for (const char* device : {"simt", "simt:reverse", "simt:shuffled"}) {
    const auto [simt, parameters] = train_on(device);
    ASSERT_EQ(simt.epochs.size(), cpu.epochs.size());
    for (std::size_t i = 0; i < cpu.epochs.size(); ++i) {
      const EpochResult& expected = cpu.epochs[i];
      EXPECT_NEAR(simt.epochs[i].train_loss, expected.train_loss, 1e-5 * expected.train_loss);
      EXPECT_NEAR(simt.epochs[i].validation_loss, expected.validation_loss,
                  1e-5 * expected.validation_loss);
    }
    ASSERT_EQ(parameters.size(), cpu_parameters.size());
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      ASSERT_NEAR(parameters[i], cpu_parameters[i], 1e-5F) << device << ", parameter " << i;
    }
  }
}

/// What people reach for when they doubt a result: the table names operations, and the trained
/// model is the CPU's.
TEST(Training, CheckComparesOperationByOperation) {
  const Dataset rows = digits().first(64);
  Model checked = keras_model();
  TrainOptions options = quick_options(1);
  std::string table;
  options.device.device = "check";
  options.device.on_check = [&table](const std::string& text) { table += text; };
  train(checked, rows, nullptr, options);
  EXPECT_TRUE(says(table, "decoder.0 forward"));
  EXPECT_TRUE(says(table, "update parameters"));
  Model model = keras_model();
  options.device = {"cpu", 1};
  train(model, rows, nullptr, options);
  EXPECT_EQ(checked.parameters, model.parameters);
}

TEST(Training, TheSeedChangesTheOrderAndSoTheBits) {
  const ModelSpec spec = dense_autoencoder({28, 28}, {32});
  EXPECT_NE(trained(1, 1, spec).parameters, trained(1, 2, spec).parameters);
  EXPECT_NE(keras_model(1).parameters, keras_model(2).parameters);
}

TEST(Training, BytesAndTheirFloatsTrainAlike) {
  std::vector<float> values;
  for (const std::uint8_t byte : digits().bytes()) {
    values.push_back(static_cast<float>(byte) / 255.0F);
  }
  const Dataset floats("floats", {28, 28}, std::move(values));
  Model from_bytes = keras_model();
  Model from_floats = keras_model();
  train(from_bytes, digits(), nullptr, quick_options());
  train(from_floats, floats, nullptr, quick_options());
  EXPECT_EQ(from_bytes.parameters, from_floats.parameters);
}

TEST(Shuffle, IsAPermutationOfItsOwnForEachSeedAndEpoch) {
  std::vector<std::vector<std::int32_t>> orders;
  for (const std::uint64_t seed : {1U, 2U}) {
    for (const std::int64_t epoch : {1, 2}) {
      std::vector<std::int32_t> order(1000, -1);
      shuffle_rows(seed, epoch, order);
      std::vector<std::int32_t> repeated(1000, -1);
      shuffle_rows(seed, epoch, repeated);
      EXPECT_EQ(order, repeated);
      std::vector<std::int32_t> sorted = order;
      std::sort(sorted.begin(), sorted.end());
      for (std::int32_t row = 0; row < 1000; ++row) {
        ASSERT_EQ(sorted[static_cast<std::size_t>(row)], row);
      }
      EXPECT_EQ(std::find(orders.begin(), orders.end(), order), orders.end());
      orders.push_back(order);
    }
  }
  std::vector<std::int32_t> nothing;
  shuffle_rows(1, 1, nothing);
}

TEST(Shuffle, LeavesNoRowWhereItWasMoreOftenThanChance) {
  // A fixed point in each order is due once on average, whatever the length.
  int fixed = 0;
  constexpr int kOrders = 1000;
  std::vector<std::int32_t> order(50);
  for (int epoch = 1; epoch <= kOrders; ++epoch) {
    shuffle_rows(1, epoch, order);
    for (std::int32_t row = 0; row < 50; ++row) {
      if (order[static_cast<std::size_t>(row)] == row) ++fixed;
    }
  }
  EXPECT_NEAR(fixed, kOrders, 5 * 31.6);  // five standard deviations
}

// ── Reporting and stopping ──────────────────────────────────────────────────────────────────────

TEST(Training, ReportsEveryEpochAsItEnds) {
  std::vector<EpochResult> reported;
  TrainOptions options = quick_options(3);
  options.on_epoch = [&](const EpochResult& epoch) { reported.push_back(epoch); };
  Model model = keras_model();
  const TrainResult result = train(model, digits(), nullptr, options);
  ASSERT_EQ(reported.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(reported[i].epoch, static_cast<std::int64_t>(i) + 1);
    EXPECT_EQ(reported[i].train_loss, result.epochs[i].train_loss);
    EXPECT_GT(reported[i].seconds, 0);
    EXPECT_NEAR(reported[i].samples_per_second * reported[i].seconds, 400, 1e-6);
  }
}

TEST(Training, AnInterruptKeepsTheStepsThatWereDone) {
  TrainOptions options = quick_options(50);
  int steps = 0;
  options.stop_requested = [&] { return ++steps == 15; };  // 13 make an epoch
  Model model = keras_model();
  const TrainResult result = train(model, digits(), nullptr, options);
  EXPECT_TRUE(result.interrupted);
  EXPECT_EQ(steps, 15);
  EXPECT_EQ(result.epochs.size(), 1U);
  // The model is that of these 15 steps: better than the first, finite, and the same again.
  const auto loss = [](const Model& of) { return evaluate(of, digits(), {}, {"cpu", 1}).loss; };
  EXPECT_LT(loss(model), 0.8 * loss(keras_model()));
  Model again = keras_model();
  steps = 0;
  train(again, digits(), nullptr, options);
  EXPECT_EQ(again.parameters, model.parameters);
}

// ── Refusals ────────────────────────────────────────────────────────────────────────────────────

/// A few rows of four values, of which one is `odd`.
Dataset with_value(float odd) {
  std::vector<float> values(4 * 100, 0.5F);
  values[4 * 70 + 2] = odd;
  return {"rows.npy", {4}, std::move(values)};
}

/// Trains on `data` and gives the error's message. The model must be left as it was.
std::string refusal(const Dataset& data, Loss loss, Activation output = Activation::sigmoid,
                    const Dataset* validation = nullptr) {
  const ModelSpec spec = dense_autoencoder({4}, {2}, Activation::relu, output);
  Model model = Model::initialize(spec, 1);
  TrainOptions options = quick_options();
  options.loss = loss;
  std::string message = error_of([&] { train(model, data, validation, options); });
  EXPECT_EQ(model.parameters, Model::initialize(spec, 1).parameters);
  return message;
}

TEST(TrainingRefuses, NanAndInfinity) {
  for (const float odd :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const Loss loss : {Loss::bce, Loss::mse}) {
      const std::string message = refusal(with_value(odd), loss);
      EXPECT_TRUE(says(message, "rows.npy"));
      EXPECT_TRUE(says(message, "70"));
      const Dataset bad = with_value(odd);
      EXPECT_TRUE(says(refusal(with_value(0), loss, Activation::sigmoid, &bad), "70"));
    }
  }
}

TEST(TrainingRefuses, ValuesOutsideTheUnitIntervalWithCrossEntropy) {
  for (const float odd : {1.001F, -0.001F, 255.0F}) {
    EXPECT_TRUE(says(refusal(with_value(odd), Loss::bce), "70"));
    // Other losses take them, but a sigmoid cannot make them.
    EXPECT_TRUE(says(refusal(with_value(odd), Loss::mse), "take the output activation identity"));
    Model model =
        Model::initialize(dense_autoencoder({4}, {2}, Activation::relu, Activation::identity), 1);
    TrainOptions options = quick_options();
    options.loss = Loss::mse;
    EXPECT_NO_THROW(train(model, with_value(odd), nullptr, options));
  }
}

TEST(TrainingRefuses, CrossEntropyWithoutASigmoid) {
  for (const Activation output : {Activation::identity, Activation::relu, Activation::tanh}) {
    EXPECT_TRUE(says(refusal(with_value(0), Loss::bce, output), std::string(to_string(output))));
  }
}

TEST(TrainingRefuses, RowsOfAnotherSizeAndNone) {
  const Dataset wide("wide.npy", {5}, std::vector<float>(10, 0.5F));
  EXPECT_TRUE(says(refusal(wide, Loss::bce), "5"));
  EXPECT_TRUE(says(refusal(with_value(0), Loss::bce, Activation::sigmoid, &wide), "wide.npy"));
  EXPECT_TRUE(says(refusal(with_value(0).first(0), Loss::bce), "no rows"));
}

TEST(TrainingRefuses, OptionsOutOfRange) {
  const auto refuses = [](auto change) {
    TrainOptions options = quick_options();
    change(options);
    Model model = keras_model();
    EXPECT_THROW(train(model, digits(), nullptr, options), UsageError);
  };
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  refuses([](TrainOptions& o) { o.epochs = -1; });
  refuses([](TrainOptions& o) { o.batch_size = 0; });
  for (const float bad : {0.0F, -1.0F, kNan, std::numeric_limits<float>::infinity()}) {
    refuses([bad](TrainOptions& o) { o.optimizer.learning_rate = bad; });
    refuses([bad](TrainOptions& o) { o.optimizer.epsilon = bad; });
  }
  for (const float bad : {-0.1F, 1.0F, kNan}) {
    refuses([bad](TrainOptions& o) { o.optimizer.beta1 = bad; });
    refuses([bad](TrainOptions& o) { o.optimizer.beta2 = bad; });
  }
  refuses([](TrainOptions& o) { o.device.threads = -1; });
  refuses([](TrainOptions& o) { o.device.device = "abacus"; });
}

TEST(TrainingRefuses, ToGoOnOnceTheLossIsNotANumber) {
  for (const float learning_rate : {1e20F, 1e30F}) {
    Model model = keras_model();
    TrainOptions options = quick_options(5);
    options.optimizer.learning_rate = learning_rate;
    const std::string message = error_of([&] { train(model, digits(), nullptr, options); });
    EXPECT_TRUE(says(message, "diverged"));
    EXPECT_TRUE(says(message, "learning rate"));
  }
}

TEST(TrainingRefuses, AModelThatItsLastUpdateRuined) {
  Model model = keras_model();
  TrainOptions options = quick_options(1);
  options.batch_size = digits().rows();  // one update, after the only training loss is taken
  options.optimizer.learning_rate = 1e30F;
  const std::string message = error_of([&] { train(model, digits(), &digits(), options); });
  EXPECT_TRUE(says(message, "diverged"));
}

// ── Real digits, where they are ─────────────────────────────────────────────────────────────────

TEST(TrainingOnMnist, TwoEpochsOnTenThousandRowsGetWhereTheyShould) {
  std::optional<TrainTest> mnist;
  try {
    mnist = load_named("mnist");
  } catch (const Error& error) {
    GTEST_SKIP() << "MNIST is not here: " << error.what();
  }
  const Dataset rows = mnist->train.first(10'000);
  const Dataset held_out = mnist->test.first(1000);
  Model model = keras_model();
  TrainOptions options = quick_options(2);
  options.batch_size = 256;
  const TrainResult result = train(model, rows, &held_out, options);
  // PyTorch, with weights and orders of its own: 0.481 to 0.493, 0.275 to 0.278, 0.256 to 0.262.
  EXPECT_NEAR(result.epochs[0].train_loss, 0.487, 0.03);
  EXPECT_NEAR(result.epochs[1].train_loss, 0.276, 0.01);
  EXPECT_NEAR(result.epochs[1].validation_loss, 0.259, 0.01);
}

}  // namespace
}  // namespace ae
