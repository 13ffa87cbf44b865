// What the public functions do with what a caller should not have given them, and what they may be
// asked at once.

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ae/ae.hpp"

#include "error_message.hpp"
#include "short_training.hpp"
#include "temporary_folder.hpp"
#include "test_data.hpp"

namespace ae::test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();

/// Fails the test unless `action` throws a UsageError that says `part`, which may be nothing.
template <typename Action>
void expect_refused(const Action& action, const std::string& part) {
  EXPECT_THROW(action(), UsageError);
  EXPECT_NE(error_of(action).find(part), std::string::npos) << error_of(action);
}

Dataset rows_of(std::int64_t rows, std::int64_t size) {
  return {"rows", {size}, std::vector<float>(static_cast<std::size_t>(rows * size), 0.5F)};
}

TEST(PublicChecks, ParametersOfAnotherSizeThanTheLayersNeed) {
  const TemporaryFolder folder;
  const ModelSpec spec = dense_autoencoder({6}, {3});
  const Model whole = Model::initialize(spec, 1);
  const std::size_t needed = whole.parameters.size();
  const Dataset data = rows_of(4, 6);
  for (const std::size_t size : {std::size_t{0}, needed - 1, needed + 1, 2 * needed}) {
    Model model = whole;
    model.parameters.resize(size);
    const std::string sizes =
        std::to_string(size) + " parameters, but its layers need " + std::to_string(needed);
    SCOPED_TRACE(sizes);
    expect_refused([&] { save_model(model, folder / "model"); }, sizes);
    expect_refused([&] { encode(model, data); }, sizes);
    expect_refused([&] { decode(model, rows_of(4, 3)); }, sizes);
    expect_refused([&] { reconstruct(model, data); }, sizes);
    expect_refused([&] { evaluate(model, data); }, sizes);
    expect_refused([&] { train(model, data, nullptr, options_on("cpu")); }, sizes);
    EXPECT_EQ(model.parameters.size(), size);
  }
  EXPECT_EQ(folder.entries(), 0);
}

TEST(PublicChecks, ModelsWithoutLayers) {
  const TemporaryFolder folder;
  const ModelSpec nothing;
  const ModelSpec no_layers{{6}, {}, {}};
  for (const ModelSpec& spec : {nothing, no_layers}) {
    expect_refused([&] { Model::initialize(spec, 1); }, "model");
    expect_refused([&] { save_model({spec, {}, {}}, folder / "model"); }, "model");
    expect_refused([&] { encode({spec, {}, {}}, rows_of(4, 6)); }, "model");
    expect_refused([&] { static_cast<void>(spec.code_layer()); }, "encoder");
    expect_refused([&] { static_cast<void>(spec.output_activation()); }, "decoder");
  }
  const ModelSpec only_top_k{{6}, {TopKSpec{2}}, {FlattenSpec{}}};
  expect_refused([&] { static_cast<void>(only_top_k.code_layer()); }, "encoder");
  expect_refused([&] { static_cast<void>(only_top_k.output_activation()); }, "decoder");
  EXPECT_EQ(parameter_floats(no_layers), 0);
  EXPECT_EQ(trainable_floats(no_layers), 0);
}

TEST(PublicChecks, RowsThatDoNotFitTheModel) {
  Model model = Model::initialize(dense_autoencoder({6}, {3}), 1);
  for (const auto& [data, part] : {std::pair{rows_of(4, 5), "rows of 5 values"},
                                   {rows_of(0, 6), "no rows"},
                                   {Dataset(), "no rows"}}) {
    SCOPED_TRACE(part);
    expect_refused([&] { encode(model, data); }, part);
    expect_refused([&] { reconstruct(model, data); }, part);
    expect_refused([&] { evaluate(model, data); }, part);
    expect_refused([&] { train(model, data, nullptr, options_on("cpu")); }, part);
    const Dataset good = rows_of(4, 6);
    expect_refused([&] { train(model, good, &data, options_on("cpu")); }, part);
  }
  expect_refused([&] { decode(model, rows_of(4, 6)); }, "codes of 6 numbers");
  expect_refused([&] { decode(model, rows_of(0, 3)); }, "no rows");
  expect_refused([&] { corrupt(Dataset(), {Noise::masking, 0.5F}); }, "no rows");
}

/// As structs they can have any number; a text has been checked.
TEST(PublicChecks, LayersWithNumbersThatNoTextCouldHave) {
  const std::vector<std::pair<LayerSpec, const char*>> cases{
      {DenseSpec{-5}, "'dense -5 identity' would make -5"},
      {DenseSpec{kHuge}, "values"},
      {DenseSpec{.units = 3, .activation = Activation{99}}, "no activation number 99"},
      {ConvolutionSpec{.channels = 0}, "channels"},
      {ConvolutionSpec{.channels = 3, .kernel_height = 0}, "height"},
      {ConvolutionSpec{.channels = 3, .kernel_width = -1}, "width"},
      {ConvolutionSpec{.channels = 3, .stride = 0}, "stride"},
      {ConvolutionSpec{.channels = 3, .stride = kHuge, .transposed = true}, "stride"},
      {ConvolutionSpec{.channels = 3, .padding = Padding{7}}, "no padding number 7"},
      {MaxPoolSpec{0}, "window"},
      {MaxPoolSpec{-1}, "window"},
      {MaxPoolSpec{kHuge}, "window"},
      {UpsampleSpec{0}, "factor"},
      {UpsampleSpec{kHuge}, "factor"},
      {ReshapeSpec{{}}, "no extents"},
      {ReshapeSpec{{-4, -4}}, "1 to"},
      {ReshapeSpec{Shape(1000, 1)}, "1000 extents"},
      {DropoutSpec{kNan}, "probability"},
      {DropoutSpec{1}, "probability"},
      {DropoutSpec{-1}, "probability"},
      {GaussianSpec{0}, "units"},
      {GaussianSpec{kHuge}, "units"},
      {TopKSpec{0}, "k must"},
      {TopKSpec{-3}, "k must"},
  };
  for (const auto& [layer, part] : cases) {
    expect_refused([&] { output_shape(layer, {4, 4}); }, part);
    expect_refused([&] { layer_tensors(layer, {4, 4}); }, part);
    expect_refused(
        [&] {
          ModelSpec{{4, 4}, {DenseSpec{3}, layer}, {DenseSpec{16}}}.validate();
        },
        "");
  }
  for (const Shape& shape : {Shape{}, Shape{-1}, Shape{0}, Shape{kHuge, kHuge}, Shape(65, 1)}) {
    expect_refused([&] { output_shape(DropoutSpec{}, shape); }, "input shape");
    expect_refused([&] { layer_tensors(BatchNormSpec{}, shape); }, "input shape");
    expect_refused(
        [&] {
          ModelSpec{shape, {DenseSpec{2}}, {DenseSpec{1}}}.validate();
        },
        "input shape");
  }
}

TEST(PublicChecks, OptionsThatMeanNothing) {
  const Model model = Model::initialize(parse_model({6}, {"gaussian 2"}, {"dense 6"}), 1);
  const Dataset data = rows_of(4, 6);
  expect_refused([&] { evaluate(model, data, {.beta = kNan}); }, "beta");
  expect_refused([&] { evaluate(model, data, {.beta = -1}); }, "beta");
  expect_refused([&] { evaluate(model, data, {.loss = Loss{99}}); }, "no loss number 99");
  expect_refused([&] { evaluate(model, data, {.reduction = Reduction{9}}); }, "no reduction");
  expect_refused([&] { evaluate(model, data, {.noise = {Noise{9}, 0.5F}}); }, "no noise number 9");
  expect_refused([&] { corrupt(data, {Noise{9}, 0.5F}); }, "no noise number 9");
  expect_refused([&] { corrupt(data, {Noise::gaussian, kNan}); }, "deviation");
  const auto refused = [](const std::function<void(TrainOptions&)>& change, const char* part) {
    TrainOptions options;
    change(options);
    expect_refused([&] { options.validate(); }, part);
  };
  refused([](TrainOptions& options) { options.loss = Loss{99}; }, "no loss number");
  refused([](TrainOptions& options) { options.reduction = Reduction{9}; }, "no reduction number");
  refused([](TrainOptions& options) { options.optimizer.kind = Optimizer{9}; }, "no optimizer");
  refused([](TrainOptions& options) { options.schedule.kind = Schedule{9}; }, "no schedule");
  refused([](TrainOptions& options) { options.noise.kind = Noise{9}; }, "no noise number");
  refused([](TrainOptions& options) { options.variational.warm_up_epochs = 1e30F; }, "warm-up");
  refused([](TrainOptions& options) { options.variational.beta = kNan; }, "beta");
}

TEST(PublicChecks, CodesThatAreNoWholeNumber) {
  const std::vector<float> codes(6, 1.0F);
  expect_refused([&] { describe_codes(codes, 4); }, "6 numbers");
  expect_refused([&] { describe_codes(codes, 0); }, "codes of 0");
  expect_refused([&] { describe_codes(codes, -2); }, "codes of -2");
  EXPECT_EQ(describe_codes({}, 4).active_units, 0);
}

TEST(TrainingRecord, SaysWhatTheProgramNeedsToJudgeTheModel) {
  const Dataset data = digits().first(64);
  Model model = Model::initialize(parse_model(data.row_shape(), {"dense 8", "gaussian 2"}, {},
                                              Activation::relu, Activation::identity),
                                  1);
  model.training["mine"] = "stays";
  TrainOptions options = options_on("cpu");
  options.loss = Loss::mse;
  options.reduction = Reduction::sum;
  options.noise = {Noise::masking, 0.25F};
  options.variational.beta = 0.5F;
  options.optimizer.learning_rate = 1e-4F;
  options.seed = 7;
  const TrainResult result = train(model, data, &data, options);
  const auto& record = model.training;
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::string>>{{"loss", "mse"},
                                                        {"reduction", "sum"},
                                                        {"noise", "masking"},
                                                        {"noise_amount", "0.25"},
                                                        {"beta", "0.5"},
                                                        {"seed", "7"},
                                                        {"epochs", "2"},
                                                        {"rows", "64"},
                                                        {"batch_size", "32"},
                                                        {"data", data.source()},
                                                        {"device", "cpu"},
                                                        {"ae_version", AE_VERSION_STRING},
                                                        {"optimizer", "adam"},
                                                        {"mine", "stays"}}) {
    ASSERT_EQ(record.count(key), 1U) << key;
    EXPECT_EQ(record.at(key), value) << key;
  }
  EXPECT_NEAR(std::stod(record.at("test_loss")), result.epochs.back().validation_loss, 1e-5);
  EXPECT_EQ(record.count("interrupted"), 0U);

  // Another training leaves nothing of the first one's.
  options.noise = {};
  options.stop_requested = [] { return true; };
  train(model, data, nullptr, options);
  EXPECT_EQ(record.count("noise"), 0U);
  EXPECT_EQ(record.count("test_loss"), 0U);
  EXPECT_EQ(record.at("interrupted"), "true");
  EXPECT_EQ(record.at("epochs"), "0");
  EXPECT_EQ(record.at("mine"), "stays");
}

TEST(TrainingRecord, IsThatOfTheLastTrainingThatEnded) {
  const Dataset data = digits().first(64);
  Model model = Model::initialize(dense_autoencoder(data.row_shape(), {4}), 1);
  TrainOptions options = options_on("cpu");
  train(model, data, nullptr, options);
  const auto before = model.training;
  options.batch_size = 0;
  EXPECT_THROW(train(model, data, nullptr, options), UsageError);
  EXPECT_EQ(model.training, before);
}

/// ae.hpp says what may run at once.
TEST(ThreadsOfTheCaller, GetTheBitsThatTheyGetAlone) {
  const TemporaryFolder folder;
  const Dataset data = digits().first(200);
  const auto trained = [&] {
    Model model = Model::initialize(dense_autoencoder(data.row_shape(), {16, 4}), 3);
    train(model, data, nullptr, options_on("cpu", 2));
    return model;
  };
  const Model alone = trained();
  const std::vector<float> codes = encode(alone, data, {"cpu", 2});
  save_model(alone, folder / "model");

  constexpr std::size_t kEach = 2;
  std::vector<Model> models(kEach);
  std::vector<Model> loaded(kEach);
  std::vector<std::vector<float>> encoded(kEach);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kEach; ++i) {
    threads.emplace_back([&, i] { models[i] = trained(); });
    threads.emplace_back([&, i] { encoded[i] = encode(alone, data, {"cpu", 2}); });
    threads.emplace_back([&, i] { loaded[i] = load_model(folder / "model"); });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < kEach; ++i) {
    EXPECT_EQ(models[i].parameters, alone.parameters);
    EXPECT_EQ(loaded[i].parameters, alone.parameters);
    EXPECT_EQ(encoded[i], codes);
  }
}

TEST(Version, IsTheSameForThePreprocessor) {
  EXPECT_EQ(version(), AE_VERSION_STRING);
  EXPECT_EQ(std::to_string(AE_VERSION_MAJOR) + "." + std::to_string(AE_VERSION_MINOR) + "." +
                std::to_string(AE_VERSION_PATCH),
            version());
  static_assert(AE_VERSION == AE_VERSION_MAJOR * 10000 + AE_VERSION_MINOR * 100 + AE_VERSION_PATCH);
}

}  // namespace
}  // namespace ae::test
