// Descriptions of models: the readable form there and back, the shapes between layers, and what is
// refused.

#include "ae/model.hpp"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ae/error.hpp"
#include "ae/infer.hpp"

#include "error_message.hpp"

namespace ae {
namespace {

using test::error_of;

constexpr Activation kDefault = Activation::elu;

TEST(LayerText, ComesBackAsItWas) {
  for (const char* text :
       {"dense 128 relu", "dense 1 identity", "dense 784 tied sigmoid", "conv 32 3x3 relu",
        "conv 1 5x2 stride 3 valid tanh", "conv 7 1x1 valid sigmoid",
        "transposed_conv 32 3x3 stride 2 relu", "max_pool 2", "upsample 3", "flatten",
        "reshape 7x7x32", "reshape 49", "dropout 0.2", "dropout 0", "layer_norm relu",
        "batch_norm identity", "gaussian 20", "top_k 8"}) {
    EXPECT_EQ(to_string(parse_layer(text, kDefault)), text);
  }
}

TEST(LayerText, LeavesOutWhatIsUsual) {
  EXPECT_EQ(parse_layer("dense 3", kDefault), LayerSpec(DenseSpec{3, kDefault}));
  EXPECT_EQ(parse_layer("dense 3 tied", kDefault), LayerSpec(DenseSpec{3, kDefault, true}));
  EXPECT_EQ(parse_layer("  conv   8  3x3 ", kDefault),
            LayerSpec(ConvolutionSpec{.channels = 8, .activation = kDefault}));
  EXPECT_EQ(parse_layer("conv 8 3x3 relu same stride 2", kDefault),
            parse_layer("conv 8 3x3 stride 2 relu", kDefault));
}

TEST(LayerText, SaysWhatIsWrong) {
  const std::vector<std::pair<const char*, const char*>> cases{
      {"", "its kind is missing"},
      {"densely 3", "there is no 'densely'"},
      {"dense", "the number of units is missing"},
      {"dense 0", "from 1"},
      {"dense -3", "from 1"},
      {"dense 3.5", "'3.5'"},
      {"dense 99999999999999999999", "from 1"},
      {"dense 3 relu relu", "'relu' is one word too many"},
      {"dense 3 rellu", "there is no activation 'rellu'"},
      {"dense tied 3", "'tied'"},
      {"dense 3 relu tied", "'tied' is one word too many"},
      {"dense 3 tied tied", "there is no activation 'tied'"},
      {"conv 8", "the kernel"},
      {"conv 8 3", "HxW"},
      {"conv 8 3x3x3", "HxW"},
      {"conv 8 3x", "''"},
      {"conv 8 3x300", "255"},
      {"conv 8 3x3 stride", "the stride is missing"},
      {"conv 8 3x3 stride 0", "the stride"},
      {"max_pool", "the window"},
      {"upsample 0", "the factor"},
      {"flatten 3", "one word too many"},
      {"reshape", "the shape"},
      {"reshape 3xx3", "''"},
      {"gaussian", "the number of units"},
      {"top_k many", "'many'"},
      {"batch_norm 3", "there is no activation '3'"},
      {"layer_norm relu 3", "one word too many"},
      {"dropout", "the probability is missing"},
      {"dropout 1", "from 0 to below 1, not '1'"},
      {"dropout -0.1", "'-0.1'"},
      {"dropout nan", "'nan'"},
      {"dropout 0.5x", "'0.5x'"},
      {"dropout 0.5 relu", "one word too many"},
  };
  for (const auto& [text, says] : cases) {
    const std::string message = error_of([&] { parse_layer(text, kDefault); });
    EXPECT_NE(message.find(says), std::string::npos) << text << ": " << message;
    EXPECT_THROW(parse_layer(text, kDefault), UsageError);
  }
}

Shape shape_after(const char* layer, const Shape& input) {
  return output_shape(parse_layer(layer, kDefault), input);
}

TEST(LayerShapes, AreKerass) {
  EXPECT_EQ(shape_after("dense 7", {4, 5}), (Shape{7}));
  EXPECT_EQ(shape_after("conv 32 3x3", {28, 28}), (Shape{28, 28, 32}));
  EXPECT_EQ(shape_after("conv 8 3x3 stride 2", {7, 8, 3}), (Shape{4, 4, 8}));
  EXPECT_EQ(shape_after("conv 8 3x5 valid", {7, 8, 3}), (Shape{5, 4, 8}));
  EXPECT_EQ(shape_after("conv 8 3x3 stride 3 valid", {7, 9, 3}), (Shape{2, 3, 8}));
  EXPECT_EQ(shape_after("transposed_conv 8 3x3 stride 2", {7, 8, 3}), (Shape{14, 16, 8}));
  EXPECT_EQ(shape_after("transposed_conv 8 3x2 stride 2 valid", {7, 8, 3}), (Shape{15, 16, 8}));
  EXPECT_EQ(shape_after("max_pool 2", {7, 8, 3}), (Shape{4, 4, 3}));
  EXPECT_EQ(shape_after("upsample 3", {7, 8}), (Shape{21, 24, 1}));
  EXPECT_EQ(shape_after("flatten", {7, 8, 3}), (Shape{168}));
  EXPECT_EQ(shape_after("reshape 8x21", {7, 8, 3}), (Shape{8, 21}));
  EXPECT_EQ(shape_after("dropout 0.5", {7, 8, 3}), (Shape{7, 8, 3}));
  EXPECT_EQ(shape_after("layer_norm", {7, 8, 3}), (Shape{7, 8, 3}));
  EXPECT_EQ(shape_after("batch_norm", {7, 8}), (Shape{7, 8}));
  EXPECT_EQ(shape_after("gaussian 5", {7, 8, 3}), (Shape{5}));
  EXPECT_EQ(shape_after("top_k 5", {7}), (Shape{7}));
}

TEST(LayerShapes, ThatCannotBeAreRefused) {
  for (const auto& [layer, input] :
       std::vector<std::pair<const char*, Shape>>{{"conv 8 3x3", {28}},
                                                  {"max_pool 2", {784}},
                                                  {"upsample 2", {2, 2, 2, 2}},
                                                  {"conv 8 3x5 valid", {7, 4}},
                                                  {"reshape 5x5", {24}},
                                                  {"top_k 8", {7}},
                                                  {"upsample 255", {200, 200, 3}}}) {
    EXPECT_THROW(shape_after(layer, input), UsageError) << layer;
  }
}

TEST(ModelText, MirrorsDenseEncoders) {
  const auto decoder = [](const std::vector<std::string>& encoder) {
    return to_string(
        parse_model({28, 28}, encoder, {}, Activation::tanh, Activation::sigmoid).decoder);
  };
  EXPECT_EQ(decoder({"dense 64", "dense 8"}), "dense 64 tanh, dense 784 sigmoid");
  EXPECT_EQ(decoder({"dense 64", "gaussian 8"}), "dense 64 tanh, dense 784 sigmoid");
  EXPECT_EQ(decoder({"dense 64", "top_k 8"}), "dense 784 sigmoid");
  EXPECT_EQ(parse_model({784}, {"dense 32"}, {}), dense_autoencoder({784}, {32}));
}

TEST(ModelText, MirrorsAreTiedButForAGaussians) {
  const auto decoder = [](const std::vector<std::string>& encoder) {
    return to_string(
        parse_model({28, 28}, encoder, {}, Activation::tanh, Activation::sigmoid, true).decoder);
  };
  EXPECT_EQ(decoder({"dense 64", "dense 8"}), "dense 64 tied tanh, dense 784 tied sigmoid");
  EXPECT_EQ(decoder({"dense 64", "gaussian 8"}), "dense 64 tanh, dense 784 tied sigmoid");
  EXPECT_EQ(decoder({"dense 64", "top_k 8"}), "dense 784 tied sigmoid");
  EXPECT_EQ(decoder({"gaussian 8"}), "dense 784 sigmoid");
  EXPECT_EQ(
      parse_model({784}, {"dense 64", "dense 32"}, {}, Activation::relu, Activation::sigmoid, true),
      dense_autoencoder({784}, {64, 32}, Activation::relu, Activation::sigmoid, true));
}

/// No two tensors share a place, each begins at a cache line unless it continues the one before,
/// and what optimisers change comes first.
void expect_apart(const std::vector<LayerSlice>& slices) {
  std::vector<TensorSlice> tensors;
  for (const LayerSlice& slice : slices) {
    tensors.insert(tensors.end(), slice.tensors.begin(), slice.tensors.end());
  }
  std::sort(tensors.begin(), tensors.end(),
            [](const TensorSlice& a, const TensorSlice& b) { return a.offset < b.offset; });
  std::int64_t end = 0;
  bool is_trainable = true;
  for (const TensorSlice& tensor : tensors) {
    SCOPED_TRACE(tensor.name + " at " + std::to_string(tensor.offset));
    if (tensor.is_adjacent) {
      EXPECT_EQ(tensor.offset, end);
    } else {
      EXPECT_GE(tensor.offset, end);
      EXPECT_EQ(tensor.offset % 16, 0);
    }
    EXPECT_LE(tensor.is_trainable, is_trainable);
    is_trainable = tensor.is_trainable;
    end = tensor.offset + tensor.size();
  }
}

/// Partners are counted from the two ends, whatever lies between; W is counted, and lies, once.
TEST(ModelText, TiedLayersHaveTheirPartnersWeightAndABiasOfTheirOwn) {
  const ModelSpec spec =
      parse_model({28, 28}, {"dense 64 identity", "layer_norm relu", "dense 32", "dense 8"},
                  {"dense 32 tied", "dropout 0.1", "dense 64", "dense 784 tied"});
  EXPECT_EQ(spec.parameter_count(),
            784 * 64 + 64 + 2 * 64 + 64 * 32 + 32 + 32 * 8 + 8 + 32 + 32 * 64 + 64 + 784);
  const std::vector<LayerSlice> slices = layer_slices(spec);
  for (const auto& [tied, partner] : {std::pair{4U, 3U}, {7U, 0U}}) {
    EXPECT_EQ(slices[tied].partner, partner);
    EXPECT_EQ(slices[tied].find("weight"), nullptr);
    EXPECT_EQ(slices[tied].partner_weight.offset, slices[partner].tensor("weight").offset);
    EXPECT_EQ(slices[tied].tensor("bias").size(), slices[tied].units);
  }
  EXPECT_FALSE(slices[6].partner);
  EXPECT_EQ(slices[6].tensor("weight").size(), 32 * 64);
  expect_apart(slices);
  // What is not tied begins with the numbers that it has without ties.
  const Model tied = Model::initialize(
      dense_autoencoder({20}, {6}, Activation::relu, Activation::sigmoid, /*tied=*/true), 3);
  const Model plain = Model::initialize(dense_autoencoder({20}, {6}), 3);
  EXPECT_TRUE(
      std::equal(tied.parameters.begin(), tied.parameters.begin() + 120, plain.parameters.begin()));
  for (auto bias = tied.parameters.begin() + 128; bias != tied.parameters.end(); ++bias) {
    EXPECT_EQ(*bias, 0.0F);
  }
}

TEST(ModelText, KnowsItsCode) {
  const ModelSpec variational = parse_model({28, 28}, {"dense 64", "gaussian 8"}, {});
  EXPECT_TRUE(variational.is_variational());
  EXPECT_EQ(variational.latent(), 8);
  EXPECT_EQ(variational.parameter_count(),
            784 * 64 + 64 + 64 * 16 + 16 + 8 * 64 + 64 + 64 * 784 + 784);
  const ModelSpec convolutional =
      parse_model({28, 28}, {"conv 4 3x3", "max_pool 2"}, {"upsample 2", "conv 1 3x3 sigmoid"});
  EXPECT_FALSE(convolutional.is_variational());
  EXPECT_EQ(convolutional.code_shape(), (Shape{14, 14, 4}));
  EXPECT_EQ(convolutional.parameter_count(), 9 * 4 + 4 + 9 * 4 + 1);
}

/// A γ and a β a unit, or a channel; the running numbers count for nobody's parameters, and lie
/// where no optimiser comes.
TEST(ModelText, NormalisationsHaveTwoNumbersAChannelAndKeepTwoMore) {
  const ModelSpec spec = parse_model(
      {6, 6}, {"conv 4 3x3 identity", "batch_norm relu", "dropout 0.2", "dense 9 identity"},
      {"layer_norm relu", "batch_norm identity", "dense 36 sigmoid"});
  EXPECT_EQ(spec.parameter_count(), 9 * 4 + 4 + 2 * 4 + 144 * 9 + 9 + 2 * 9 + 2 * 9 + 9 * 36 + 36);
  const std::vector<LayerSlice> slices = layer_slices(spec);
  const std::vector<std::int64_t> channels{0, 4, 0, 0, 9, 9, 0};
  const std::vector<std::size_t> counts{0, 4, 0, 0, 2, 4, 0};
  const Model model = Model::initialize(spec, 1);
  const auto number = [&](std::int64_t at) {
    return model.parameters[static_cast<std::size_t>(at)];
  };
  for (std::size_t i = 0; i < slices.size(); ++i) {
    const LayerSlice& slice = slices[i];
    SCOPED_TRACE(slice.name);
    const std::vector<std::pair<const char*, float>> expected{
        {"weight", 1.0F}, {"bias", 0.0F}, {"running_mean", 0.0F}, {"running_var", 1.0F}};
    if (counts[i] == 0) continue;
    ASSERT_EQ(slice.tensors.size(), counts[i]);
    for (std::size_t t = 0; t < counts[i]; ++t) {
      const auto& [name, first] = expected[t];
      const TensorSlice& tensor = slice.tensor(name);
      EXPECT_EQ(tensor.shape, (Shape{channels[i]}));
      EXPECT_EQ(tensor.is_trainable, t < 2);
      for (std::int64_t c = 0; c < channels[i]; ++c) EXPECT_EQ(number(tensor.offset + c), first);
    }
  }
  expect_apart(slices);
  // Without the normalisations, the other layers begin with the same numbers.
  const ModelSpec plain =
      parse_model({6, 6}, {"conv 4 3x3 identity", "dense 9 identity"}, {"dense 36 sigmoid"});
  const Model without = Model::initialize(plain, 1);
  const TensorSlice last = layer_slices(plain).back().tensor("weight");
  EXPECT_EQ(number(slices.back().tensor("weight").offset),
            without.parameters[static_cast<std::size_t>(last.offset)]);
}

TEST(ModelText, RefusesWhatCannotWork) {
  using Layers = std::vector<std::string>;
  const std::vector<std::tuple<Layers, Layers, const char*>> cases{
      {{"gaussian 4", "dense 3"}, {"dense 784"}, "must be the encoder's last"},
      {{"dense 4"}, {"gaussian 784"}, "must be the encoder's last"},
      {{"conv 4 3x3", "top_k 3"}, {"dense 784"}, "must follow a dense layer"},
      {{"top_k 3"}, {"dense 784"}, "must follow a dense layer"},
      {{"dense 4"}, {"dense 784", "flatten"}, "must end in"},
      {{"dense 4"}, {"dense 783"}, "783"},
      {{"conv 4 3x3"}, {}, "mirror"},
      {{"dense 4"}, {"conv 1 3x3"}, "images"},
      {{}, {"dense 784"}, "lacks layers"},
      {{"layer_norm relu", "dense 4"}, {"dense 784"}, "a single value at a time"},
      {{"dense 1", "layer_norm relu"}, {"dense 784"}, "a single value at a time"},
      {{"dense 4", "batch_norm relu", "top_k 3"}, {"dense 784"}, "must follow a dense layer"},
      {{"dense 4"}, {"dense 784", "batch_norm sigmoid"}, "must end in"},
      {{"dense 4", "batch_norm relu"}, {}, "mirror"},
      {{"dense 4 tied"}, {"dense 784"}, "'dense 4 tied relu' stands in the encoder"},
      {{"dense 4"},
       {"dense 4 tied", "dense 784"},
       "decoder.0, 'dense 4 tied relu', has no partner"},
      {{"conv 4 3x3"}, {"dense 784 tied"}, "decoder.0, 'dense 784 tied sigmoid', has no partner"},
      {{"gaussian 4"}, {"dense 784 tied"}, "has no partner"},
      {{"dense 6", "dense 4"},
       {"dense 5 tied", "dense 784"},
       "decoder.0, 'dense 5 tied relu', takes 4 values to 5, but its partner encoder.1 takes 6 to "
       "4"},
      {{"dense 6", "dense 4"},
       {"dense 784 tied"},
       "takes 4 values to 784, but its partner encoder.0 takes 784 to 6"},
  };
  for (const auto& [encoder, decoder, says] : cases) {
    const std::string message = error_of([&] { parse_model({28, 28}, encoder, decoder); });
    EXPECT_NE(message.find(says), std::string::npos) << message;
  }
  const std::string message = error_of([] {
    parse_model({784}, {"dense 4"}, {"dense 784"}, Activation::relu, Activation::sigmoid, true);
  });
  EXPECT_NE(message.find("write 'tied' in its layers"), std::string::npos) << message;
}

TEST(CodeStatistics, AreThoseOfTheirDefinitions) {
  const std::vector<float> codes{1, 0, 5, -3, 0, 5.05F, 1, 0, 5};  // (3, 3)
  const CodeStatistics statistics = describe_codes(codes, 3);
  EXPECT_NEAR(statistics.mean_activation, 20.05 / 9, 1e-6);
  EXPECT_NEAR(statistics.zeros, 3.0 / 9, 1e-12);
  EXPECT_EQ(statistics.active_units, 1);  // the third varies by 0.0006
}

}  // namespace
}  // namespace ae
