#include <vector>

#include <gtest/gtest.h>

#include "ae/error.hpp"
#include "ae/infer.hpp"
#include "ae/model.hpp"
#include "ae/train.hpp"

#include "error_message.hpp"

// What the library says of data that a model cannot make or would misread.

namespace ae {
namespace {

using test::error_of;
using test::says;

TrainOptions one_epoch(Loss loss) {
  TrainOptions options;
  options.epochs = 1;
  options.loss = loss;
  options.device.device = "cpu";
  return options;
}

TEST(DataFit, OutputsThatCannotReachTheTrainingDataAreRefused) {
  const Dataset wide("wide", {2}, std::vector<float>{-3, 0, 1, 5});
  for (const Loss loss : {Loss::mse, Loss::mae, Loss::huber, Loss::gaussian}) {
    for (const Activation output :
         {Activation::sigmoid, Activation::tanh, Activation::relu, Activation::elu,
          Activation::gelu, Activation::silu, Activation::softplus}) {
      Model model =
          Model::initialize(dense_autoencoder({2}, {2}, Activation::relu, output), /*seed=*/1);
      const std::string message = error_of([&] { train(model, wide, nullptr, one_epoch(loss)); });
      EXPECT_TRUE(says(message, std::string(to_string(output)) + " makes values from "));
      EXPECT_TRUE(
          says(message, "wide has values from -3 to 5; take the output activation identity"));
    }
    for (const Activation output : {Activation::identity, Activation::leaky_relu}) {
      Model model =
          Model::initialize(dense_autoencoder({2}, {2}, Activation::relu, output), /*seed=*/1);
      EXPECT_NO_THROW(train(model, wide, nullptr, one_epoch(loss)));
    }
  }
}

TEST(DataFit, AScalersRoundingIsNoReasonToRefuse) {
  Dataset rounded("rounded", {2}, std::vector<float>{-1e-9F, 1.0000001F, 0.5F, 0.25F});
  Model model = Model::initialize(dense_autoencoder({2}, {2}), /*seed=*/1);
  EXPECT_NO_THROW(train(model, rounded, &rounded, one_epoch(Loss::mse)));
  EXPECT_NO_THROW(train(model, rounded, &rounded, one_epoch(Loss::bce)));
  const Dataset beyond("beyond", {2}, std::vector<float>{0, 1.00001F});
  EXPECT_TRUE(says(error_of([&] { train(model, beyond, nullptr, one_epoch(Loss::bce)); }),
                   "outside [0, 1]"));
}

TEST(DataFit, ChannelsFirstAreNoChannelsLast) {
  const Model model = Model::initialize(dense_autoencoder({4, 5, 3}, {2}), /*seed=*/1);
  const Dataset first("first", {3, 4, 5}, std::vector<float>(60, 0.5F));
  EXPECT_TRUE(says(error_of([&] { encode(model, first); }), "x.transpose(0, 2, 3, 1)"));
  // Without axes there is no order to be wrong; a single channel has only one.
  EXPECT_NO_THROW(encode(model, Dataset("flat", {60}, std::vector<float>(60, 0.5F))));
  const Model grey = Model::initialize(dense_autoencoder({4, 5, 1}, {2}), /*seed=*/1);
  EXPECT_NO_THROW(encode(grey, Dataset("grey", {1, 4, 5}, std::vector<float>(20, 0.5F))));
}

}  // namespace
}  // namespace ae
