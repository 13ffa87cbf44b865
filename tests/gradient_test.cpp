// The gradients of whole networks against finite differences: for every activation, loss and
// reduction, one to three layers deep. The differences are of the loss alone, written here once
// more in double, layer by layer from its definition; the gradients are the product's.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "ae/dataset.hpp"
#include "ae/model.hpp"
#include "ae/train.hpp"

#include "device/device.hpp"
#include "formulas/philox.hpp"
#include "model/network.hpp"
#include "targets.hpp"
#include "train/evaluation.hpp"

namespace ae {
namespace {

using test::Target;

constexpr std::int64_t kRows = 5;
constexpr std::int64_t kInputs = 10;
double activate(Activation activation, double z) {
  switch (activation) {
    case Activation::identity:
      return z;
    case Activation::relu:
      return z > 0 ? z : 0;
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-z));
    case Activation::tanh:
      return std::tanh(z);
    case Activation::leaky_relu:
      return z > 0 ? z : 0.01 * z;
    case Activation::elu:
      return z > 0 ? z : std::exp(z) - 1;
    case Activation::gelu:
      return z * (1 + std::erf(z / std::sqrt(2.0))) / 2;
    case Activation::silu:
      return z / (1 + std::exp(-z));
    case Activation::softplus:
      return std::log(1 + std::exp(z));
  }
  return std::numeric_limits<double>::quiet_NaN();
}

/// The loss of one element, an output beside its target.
double loss_of_element(Loss loss, double y, double t) {
  const double d = std::abs(y - t);
  switch (loss) {
    case Loss::bce:
      return -t * std::log(y) - (1 - t) * std::log(1 - y);
    case Loss::mse:
      return d * d;
    case Loss::mae:
      return d;
    case Loss::huber:
      return d < 1 ? d * d / 2 : d - 0.5;
    case Loss::gaussian:
      return d * d / 2 + std::log(2 * std::numbers::pi) / 2;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

/// A model's loss in double, summed over all rows and elements, and how near it comes to a kink, of
/// an activation or of the loss, where it has no derivative.
struct DoubleLoss {
  double value = 0;
  double nearest_kink = std::numeric_limits<double>::infinity();
};

DoubleLoss loss_of(const ModelSpec& spec, const std::vector<double>& parameters,
                   const std::vector<float>& data, Loss loss) {
  DoubleLoss result;
  const std::vector<LayerSlice> slices = layer_slices(spec);
  const std::vector<LayerSpec> layers = spec.layers();
  for (std::int64_t row = 0; row < kRows; ++row) {
    const auto* sample = data.data() + row * kInputs;
    std::vector<double> x(sample, sample + kInputs);
    for (std::size_t layer = 0; layer < slices.size(); ++layer) {
      const LayerSlice& slice = slices[layer];
      const std::int64_t weight = slice.tensor("weight").offset;
      const std::int64_t bias = slice.tensor("bias").offset;
      std::vector<double> y;
      for (std::int64_t unit = 0; unit < slice.units; ++unit) {
        double z = parameters[static_cast<std::size_t>(bias + unit)];
        for (std::int64_t input = 0; input < slice.inputs; ++input) {
          z += x[static_cast<std::size_t>(input)] *
               parameters[static_cast<std::size_t>(weight + input * slice.units + unit)];
        }
        const Activation activation = std::get<DenseSpec>(layers[layer]).activation;
        if (activation == Activation::relu || activation == Activation::leaky_relu) {
          result.nearest_kink = std::min(result.nearest_kink, std::abs(z));
        }
        y.push_back(activate(activation, z));
      }
      x = y;
    }
    for (std::size_t i = 0; i < x.size(); ++i) {
      const auto t = static_cast<double>(sample[i]);
      result.value += loss_of_element(loss, x[i], t);
      // Where a relu is shut and its target 0, both stay where they are.
      if (loss == Loss::mae && x[i] != t) {
        result.nearest_kink = std::min(result.nearest_kink, std::abs(x[i] - t));
      }
    }
  }
  return result;
}

/// Numbers in [0, 1), a third of them zero, as in images.
std::vector<float> samples(std::uint64_t seed) {
  std::vector<float> values;
  const Philox philox(seed);
  for (std::uint64_t i = 0; i < kRows * kInputs; ++i) {
    const float value = to_unit_float(philox.word(RandomPurpose::synthetic_data, 0, i));
    values.push_back(i % 3 == 0 ? 0.0F : value);
  }
  return values;
}

/// Weights as training starts from, and biases that are not zero.
Model random_model(const ModelSpec& spec, std::uint64_t seed) {
  Model model = Model::initialize(spec, seed);
  const Philox philox(seed);
  for (const LayerSlice& slice : layer_slices(spec)) {
    const std::int64_t bias = slice.tensor("bias").offset;
    for (std::int64_t i = bias; i < bias + slice.units; ++i) {
      const float unit =
          to_unit_float(philox.word(RandomPurpose::weights, 1000, static_cast<std::uint64_t>(i)));
      model.parameters[static_cast<std::size_t>(i)] = unit - 0.5F;
    }
  }
  return model;
}

struct LossAndGradients {
  double loss = 0;
  std::vector<float> gradients;
};

/// One forward and backward pass of the product.
LossAndGradients run_product(Device& device, const Model& model, const std::vector<float>& data,
                             Loss loss, Reduction reduction, double density_hint) {
  const double divisor = loss_divisor(reduction, kRows, kInputs);
  const Parameters parameters(device, model);
  Network network(device, model.spec, parameters, kRows, Network::Use::training);
  DeviceArray<float> x(device, kRows * kInputs);
  x.upload(data);
  DeviceArray<float> gradients(device, parameters.size());
  DeviceArray<double> loss_sum(device, 1);
  const Matrix batch{x.data(), kRows, kInputs};
  Step step;
  const Matrix logits = network.run_to_logits(step, batch, density_hint);
  network.backward(step, logits, batch,
                   {.loss = loss, .gradient_scale = static_cast<float>(1 / divisor)}, {},
                   gradients.data(), {.loss = loss_sum.tensor()});
  device.run(step);

  LossAndGradients result;
  loss_sum.download({&result.loss, 1});
  result.loss /= divisor;
  result.gradients.resize(static_cast<std::size_t>(gradients.size()));
  gradients.download(result.gradients);
  return result;
}

/// Finite differences move pre-activations by about this much times a weight or a value.
constexpr double kStep = 1e-5;
/// How far from relu's kink that must stay.
constexpr double kMargin = 1e-3;

void check_gradients(const std::vector<std::unique_ptr<Device>>& devices, const ModelSpec& spec,
                     Loss loss) {
  // The first random model and data, of a fixed sequence, with no pre-activation near a kink.
  Model model;
  std::vector<float> data;
  std::vector<double> parameters;
  double loss_sum = 0;
  for (std::uint64_t seed = 1;; ++seed) {
    ASSERT_LT(seed, 1000U) << "every model comes near a kink";
    model = random_model(spec, seed);
    data = samples(seed);
    parameters.assign(model.parameters.begin(), model.parameters.end());
    const DoubleLoss found = loss_of(spec, parameters, data, loss);
    loss_sum = found.value;
    if (found.nearest_kink > kMargin) break;
  }

  const auto loss_at = [&](std::size_t i, double value) {
    const double old = std::exchange(parameters[i], value);
    const double result = loss_of(spec, parameters, data, loss).value;
    parameters[i] = old;
    return result;
  };
  std::vector<double> differences(parameters.size());  // zero in the gaps between tensors
  double largest = 0;
  const auto take = [&](std::int64_t begin, std::int64_t count) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(begin + count);
         ++i) {
      differences[i] =
          (loss_at(i, parameters[i] + kStep) - loss_at(i, parameters[i] - kStep)) / (2 * kStep);
      largest = std::max(largest, std::abs(differences[i]));
    }
  };
  for (const LayerSlice& slice : layer_slices(spec)) {
    for (const TensorSlice& tensor : slice.tensors) take(tensor.offset, tensor.size());
  }
  ASSERT_GT(largest, 0.01);

  for (const std::unique_ptr<Device>& device : devices) {
    // Only the CPU heeds hints; and the emulated device is slow.
    const bool is_slow = device->name().starts_with("simt");
    for (const Reduction reduction : {Reduction::mean, Reduction::sum}) {
      for (const double density_hint : {1.0, 0.2}) {
        if (is_slow && (reduction == Reduction::sum || density_hint < 1)) continue;
        SCOPED_TRACE(device->name() + ", " + std::string(to_string(reduction)) + ", density hint " +
                     std::to_string(density_hint));
        const double divisor = reduction == Reduction::mean ? kRows * kInputs : kRows;
        const LossAndGradients actual =
            run_product(*device, model, data, loss, reduction, density_hint);
        EXPECT_NEAR(actual.loss * divisor, loss_sum, 1e-6 * loss_sum);
        // Differences are good to about 1e-9 of the largest gradient; float's six products in a
        // row, each of some ten terms, to a hundred roundings of 6e-8 or so.
        double worst = 0;
        for (std::size_t i = 0; i < differences.size(); ++i) {
          const double gradient = static_cast<double>(actual.gradients[i]) * divisor;
          const double off = std::abs(gradient - differences[i]);
          ASSERT_FALSE(std::isnan(off)) << "parameter " << i;
          worst = std::max(worst, off);
        }
        EXPECT_LE(worst, 5e-6 * largest);
      }
    }
  }
}

/// Every activation in the hidden layers, and every loss with every output activation that goes
/// with it.
void check_all(const std::vector<std::int64_t>& hidden) {
  std::vector<std::unique_ptr<Device>> devices;
  for (const Target& target : test::devices()) devices.push_back(target.make());
  for (const Activation activation : test::kAllActivations) {
    SCOPED_TRACE(to_string(activation));
    check_gradients(devices, dense_autoencoder({kInputs}, hidden, activation), Loss::bce);
  }
  std::size_t turn = 0;
  for (const Loss loss : test::kAllLosses) {
    if (loss == Loss::bce) continue;  // above: it is of sigmoids only
    for (const Activation output : test::kAllActivations) {
      const Activation activation = test::kAllActivations[turn++ % 5];
      SCOPED_TRACE(std::string(to_string(loss)) + " of " + std::string(to_string(output)) +
                   " after " + std::string(to_string(activation)));
      check_gradients(devices, dense_autoencoder({kInputs}, hidden, activation, output), loss);
    }
  }
}

// The first layer is 16 wide: there devices may skip the zeros of the input.
TEST(Gradients, EqualFiniteDifferencesOneLayerDeep) {
  check_all({16});
}
TEST(Gradients, EqualFiniteDifferencesTwoLayersDeep) {
  check_all({16, 5});
}
TEST(Gradients, EqualFiniteDifferencesThreeLayersDeep) {
  check_all({16, 7, 3});
}

}  // namespace
}  // namespace ae
