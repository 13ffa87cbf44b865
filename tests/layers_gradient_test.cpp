// The gradients of networks of every kind of layer, and of every part of the objective, against
// finite differences. The objective is written here once more in double, from the definitions in
// the public headers, for whole batches, since some of its parts are means over them.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "ae/model.hpp"
#include "ae/train.hpp"

#include "codes_oracle.hpp"
#include "device/device.hpp"
#include "model/network.hpp"
#include "norm_oracle.hpp"
#include "numbers.hpp"
#include "targets.hpp"
#include "train/evaluation.hpp"

namespace ae {
namespace {

using test::CodesOracle;
using test::Target;

constexpr std::int64_t kRows = 4;
constexpr std::uint64_t kSeed = 77;
constexpr std::int64_t kStep = 3;

using Row = std::vector<double>;
using Batch = std::vector<Row>;

double activate(Activation activation, double z) {
  switch (activation) {
    case Activation::relu:
      return z > 0 ? z : 0;
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-z));
    case Activation::tanh:
      return std::tanh(z);
    case Activation::silu:
      return z / (1 + std::exp(-z));
    case Activation::identity:
      return z;
    default:
      return std::numeric_limits<double>::quiet_NaN();
  }
}

/// Height, width and channels of a shape.
struct Extents {
  std::int64_t height;
  std::int64_t width;
  std::int64_t channels;

  explicit Extents(const Shape& shape)
      : height(shape[0]), width(shape[1]), channels(shape.size() == 2 ? 1 : shape[2]) {}
  [[nodiscard]] std::size_t at(std::int64_t y, std::int64_t x, std::int64_t c) const {
    return static_cast<std::size_t>((y * width + x) * channels + c);
  }
};

/// The objective of a batch: what training makes smaller.
class DoubleObjective {
 public:
  DoubleObjective(const ModelSpec& spec, const Objective& objective, const Batch& inputs,
                  const Batch& targets)
      : layers_(spec.layers()),
        slices_(layer_slices(spec)),
        encoder_(spec.encoder.size()),
        objective_(objective),
        inputs_(inputs),
        targets_(targets) {}

  /// For those parameters, and how near it comes to a kink, where there is no derivative.
  double value(const std::vector<double>& parameters) {
    parameters_ = &parameters;
    nearest_kink = std::numeric_limits<double>::infinity();
    double total = 0;
    Batch batch = inputs_;
    for (layer_ = 0; layer_ < layers_.size(); ++layer_) {
      batch = std::visit([&](const auto& layer) { return output(layer, batch); }, layers_[layer_]);
      const bool is_code = layer_ + 1 == encoder_;
      if (is_code) total += sparsity(batch) + static_cast<double>(objective_.gradient_scale) * kl_;
    }
    const auto scale = static_cast<double>(objective_.gradient_scale);
    for (std::size_t row = 0; row < batch.size(); ++row) {
      for (std::size_t i = 0; i < batch[row].size(); ++i) {
        const double y = batch[row][i];
        const double t = targets_[row][i];
        total +=
            scale * (objective_.loss == Loss::bce ? -t * std::log(y) - (1 - t) * std::log(1 - y)
                                                  : (y - t) * (y - t));
      }
    }
    return total;
  }

  double nearest_kink = 0;

 private:
  [[nodiscard]] double weight(std::int64_t at) const {
    const LayerSlice& slice = slices_[layer_];
    const TensorSlice& tensor = slice.partner ? slice.partner_weight : slice.tensor("weight");
    return (*parameters_)[static_cast<std::size_t>(tensor.offset + at)];
  }
  [[nodiscard]] double bias(std::int64_t at) const {
    return (*parameters_)[static_cast<std::size_t>(slices_[layer_].tensor("bias").offset + at)];
  }
  double activated(Activation activation, double z) {
    if (activation == Activation::relu) nearest_kink = std::min(nearest_kink, std::abs(z));
    return activate(activation, z);
  }

  /// W of shape (inputs, units), or where it is tied, (units, inputs).
  Batch affine(const Batch& batch, std::int64_t units, Activation activation, bool tied = false) {
    const auto inputs = static_cast<std::int64_t>(batch.front().size());
    Batch result;
    for (const Row& x : batch) {
      Row y;
      for (std::int64_t unit = 0; unit < units; ++unit) {
        double z = bias(unit);
        for (std::int64_t i = 0; i < inputs; ++i) {
          z += x[static_cast<std::size_t>(i)] * weight(tied ? unit * inputs + i : i * units + unit);
        }
        y.push_back(activated(activation, z));
      }
      result.push_back(y);
    }
    return result;
  }

  Batch output(const DenseSpec& layer, const Batch& batch) {
    return affine(batch, layer.units, layer.activation, layer.tied);
  }

  Batch output(const ConvolutionSpec& layer, const Batch& batch) {
    const Extents from(slices_[layer_].input_shape);
    const Extents to(slices_[layer_].output_shape);
    // The larger image, over which windows of the smaller map slide.
    const Extents& image = layer.transposed ? to : from;
    const Extents& map = layer.transposed ? from : to;
    const auto before = [&](std::int64_t pixels, std::int64_t windows, std::int64_t kernel) {
      const std::int64_t missing = (windows - 1) * layer.stride + kernel - pixels;
      return layer.padding == Padding::same && missing > 0 ? missing / 2 : 0;
    };
    const std::int64_t top = before(image.height, map.height, layer.kernel_height);
    const std::int64_t left = before(image.width, map.width, layer.kernel_width);
    Batch result;
    for (const Row& x : batch) {
      Row z(static_cast<std::size_t>(to.height * to.width * to.channels));
      for (std::size_t i = 0; i < z.size(); ++i) {
        z[i] = bias(static_cast<std::int64_t>(i) % to.channels);
      }
      for (std::int64_t my = 0; my < map.height; ++my) {
        for (std::int64_t mx = 0; mx < map.width; ++mx) {
          for (std::int64_t ky = 0; ky < layer.kernel_height; ++ky) {
            for (std::int64_t kx = 0; kx < layer.kernel_width; ++kx) {
              const std::int64_t iy = my * layer.stride + ky - top;
              const std::int64_t ix = mx * layer.stride + kx - left;
              if (iy < 0 || iy >= image.height || ix < 0 || ix >= image.width) continue;
              for (std::int64_t c = 0; c < image.channels; ++c) {
                for (std::int64_t o = 0; o < map.channels; ++o) {
                  const double w = weight(
                      ((ky * layer.kernel_width + kx) * image.channels + c) * map.channels + o);
                  const std::size_t in_image = image.at(iy, ix, c);
                  const std::size_t in_map = map.at(my, mx, o);
                  if (layer.transposed) {
                    z[in_image] += x[in_map] * w;
                  } else {
                    z[in_map] += x[in_image] * w;
                  }
                }
              }
            }
          }
        }
      }
      for (double& value : z) value = activated(layer.activation, value);
      result.push_back(z);
    }
    return result;
  }

  Batch output(const MaxPoolSpec& layer, const Batch& batch) {
    const Extents from(slices_[layer_].input_shape);
    const Extents to(slices_[layer_].output_shape);
    Batch result;
    for (const Row& x : batch) {
      Row y;
      for (std::int64_t oy = 0; oy < to.height; ++oy) {
        for (std::int64_t ox = 0; ox < to.width; ++ox) {
          for (std::int64_t c = 0; c < to.channels; ++c) {
            std::vector<double> window;
            for (std::int64_t iy = oy * layer.size;
                 iy < std::min((oy + 1) * layer.size, from.height); ++iy) {
              for (std::int64_t ix = ox * layer.size;
                   ix < std::min((ox + 1) * layer.size, from.width); ++ix) {
                window.push_back(x[from.at(iy, ix, c)]);
              }
            }
            std::sort(window.rbegin(), window.rend());
            // Of two zeros, as relu makes, either may be the largest: neither moves.
            if (window.size() > 1 && window[0] != window[1]) {
              nearest_kink = std::min(nearest_kink, window[0] - window[1]);
            }
            y.push_back(window[0]);
          }
        }
      }
      result.push_back(y);
    }
    return result;
  }

  Batch output(const UpsampleSpec& layer, const Batch& batch) {
    const Extents from(slices_[layer_].input_shape);
    const Extents to(slices_[layer_].output_shape);
    Batch result;
    for (const Row& x : batch) {
      Row y;
      for (std::int64_t oy = 0; oy < to.height; ++oy) {
        for (std::int64_t ox = 0; ox < to.width; ++ox) {
          for (std::int64_t c = 0; c < to.channels; ++c) {
            y.push_back(x[from.at(oy / layer.factor, ox / layer.factor, c)]);
          }
        }
      }
      result.push_back(y);
    }
    return result;
  }

  Batch output(const DropoutSpec& layer, const Batch& batch) {
    Batch result = batch;
    std::int64_t number = 0;
    for (Row& row : result) {
      for (double& value : row) {
        value = test::NormOracle::is_dropped(layer.rate, kSeed, kStep,
                                             static_cast<std::uint32_t>(layer_), number++)
                    ? 0
                    : value / (1 - static_cast<double>(layer.rate));
      }
    }
    return result;
  }

  /// By the mean and the variance of these values together: (sample, place in it).
  void normalize(Batch& batch, const std::vector<std::pair<std::size_t, std::size_t>>& together) {
    const auto count = static_cast<double>(together.size());
    double mean = 0;
    for (const auto& [row, at] : together) mean += batch[row][at] / count;
    double variance = 0;
    for (const auto& [row, at] : together) {
      variance += (batch[row][at] - mean) * (batch[row][at] - mean) / count;
    }
    for (const auto& [row, at] : together) {
      batch[row][at] = (batch[row][at] - mean) / std::sqrt(variance + 1e-5);
    }
  }
  void scale_and_activate(Batch& batch, Activation activation) {
    const std::int64_t channels = slices_[layer_].tensor("bias").size();
    for (Row& row : batch) {
      for (std::size_t i = 0; i < row.size(); ++i) {
        const std::int64_t channel = static_cast<std::int64_t>(i) % channels;
        row[i] = activated(activation, weight(channel) * row[i] + bias(channel));
      }
    }
  }

  Batch output(const LayerNormSpec& layer, const Batch& batch) {
    const auto channels = static_cast<std::size_t>(slices_[layer_].tensor("bias").size());
    Batch result = batch;
    for (std::size_t row = 0; row < batch.size(); ++row) {
      for (std::size_t begin = 0; begin < batch[row].size(); begin += channels) {
        std::vector<std::pair<std::size_t, std::size_t>> together;
        for (std::size_t c = 0; c < channels; ++c) together.emplace_back(row, begin + c);
        normalize(result, together);
      }
    }
    scale_and_activate(result, layer.activation);
    return result;
  }

  Batch output(const BatchNormSpec& layer, const Batch& batch) {
    const auto channels = static_cast<std::size_t>(slices_[layer_].tensor("bias").size());
    Batch result = batch;
    for (std::size_t c = 0; c < channels; ++c) {
      std::vector<std::pair<std::size_t, std::size_t>> together;
      for (std::size_t row = 0; row < batch.size(); ++row) {
        for (std::size_t i = c; i < batch[row].size(); i += channels) together.emplace_back(row, i);
      }
      normalize(result, together);
    }
    scale_and_activate(result, layer.activation);
    return result;
  }

  Batch output(const PreluSpec& /*layer*/, const Batch& batch) {
    const std::int64_t channels = slices_[layer_].tensor("weight").size();
    Batch result = batch;
    for (Row& row : result) {
      for (std::size_t i = 0; i < row.size(); ++i) {
        nearest_kink = std::min(nearest_kink, std::abs(row[i]));
        if (row[i] <= 0) row[i] *= weight(static_cast<std::int64_t>(i) % channels);
      }
    }
    return result;
  }

  Batch output(const FlattenSpec& /*layer*/, const Batch& batch) { return batch; }
  Batch output(const ReshapeSpec& /*layer*/, const Batch& batch) { return batch; }

  Batch output(const GaussianSpec& layer, const Batch& batch) {
    const Batch h = affine(batch, 2 * layer.units, Activation::identity);
    Batch result;
    std::int64_t number = 0;
    std::vector<double> kl(static_cast<std::size_t>(layer.units));
    for (const Row& row : h) {
      Row z;
      for (std::int64_t j = 0; j < layer.units; ++j) {
        const double mu = row[static_cast<std::size_t>(j)];
        const double lambda = row[static_cast<std::size_t>(layer.units + j)];
        z.push_back(mu + std::exp(lambda / 2) *
                             CodesOracle::normal(kSeed, RandomPurpose::code, kStep, number++));
        kl[static_cast<std::size_t>(j)] += (mu * mu + std::exp(lambda) - 1 - lambda) / 2;
      }
      result.push_back(z);
    }
    double beta = static_cast<double>(objective_.beta);
    if (objective_.warm_up_steps > kStep + 1) {
      beta *= static_cast<double>(kStep + 1) / static_cast<double>(objective_.warm_up_steps);
    }
    kl_ = 0;
    for (const double of_unit : kl) {
      const double above = of_unit / kRows - static_cast<double>(objective_.free_bits);
      if (objective_.free_bits > 0) nearest_kink = std::min(nearest_kink, std::abs(above));
      if (objective_.free_bits <= 0 || above > 0) kl_ += beta * of_unit;
    }
    return result;
  }

  Batch output(const TopKSpec& layer, const Batch& batch) {
    Batch result = batch;
    for (Row& row : result) {
      Row sorted = row;
      std::sort(sorted.rbegin(), sorted.rend());
      const auto k = static_cast<std::size_t>(layer.k);
      if (k >= row.size()) continue;
      nearest_kink = std::min(nearest_kink, sorted[k - 1] - sorted[k]);
      for (double& value : row) value = value >= sorted[k - 1] ? value : 0;
    }
    return result;
  }

  double sparsity(const Batch& code) {
    double penalty = 0;
    const auto rho = static_cast<double>(objective_.sparsity.rho);
    for (std::size_t j = 0; j < code.front().size(); ++j) {
      double sum = 0;
      double absolute = 0;
      for (const Row& row : code) {
        sum += row[j];
        absolute += std::abs(row[j]);
      }
      penalty += static_cast<double>(objective_.sparsity.l1) * absolute / kRows;
      if (objective_.sparsity.kl > 0) {
        const double mean = sum / kRows;
        penalty += static_cast<double>(objective_.sparsity.kl) *
                   (rho * std::log(rho / mean) + (1 - rho) * std::log((1 - rho) / (1 - mean)));
      }
    }
    return penalty;
  }

  std::vector<LayerSpec> layers_;
  std::vector<LayerSlice> slices_;
  std::size_t encoder_;
  Objective objective_;
  const Batch& inputs_;
  const Batch& targets_;
  const std::vector<double>* parameters_ = nullptr;
  std::size_t layer_ = 0;
  double kl_ = 0;
};

Batch random_batch(std::int64_t cols, std::uint64_t seed) {
  test::Numbers numbers(static_cast<std::uint32_t>(seed));
  Batch batch;
  for (std::int64_t row = 0; row < kRows; ++row) {
    const std::vector<float> values = numbers.vector(cols, 0, 1);
    batch.emplace_back(values.begin(), values.end());
  }
  return batch;
}

std::vector<float> flat(const Batch& batch) {
  std::vector<float> values;
  for (const Row& row : batch) values.insert(values.end(), row.begin(), row.end());
  return values;
}

Model random_model(const ModelSpec& spec, std::uint64_t seed) {
  Model model = Model::initialize(spec, seed);
  test::Numbers numbers(static_cast<std::uint32_t>(seed + 1000));
  for (const LayerSlice& slice : layer_slices(spec)) {
    // Biases first, weights that begin at random not at all.
    for (auto tensor = slice.tensors.rbegin(); tensor != slice.tensors.rend(); ++tensor) {
      if (!tensor->is_trainable || tensor->fans > 0) continue;
      const float reach = tensor->initial == 0 ? 0.5F : 1.5F;
      const std::vector<float> values = numbers.vector(tensor->size(), -reach, reach);
      std::copy(values.begin(), values.end(), model.parameters.begin() + tensor->offset);
    }
  }
  return model;
}

std::vector<float> gradients_on(Device& device, const Model& model, const Objective& objective,
                                const Batch& inputs, const Batch& targets) {
  const auto cols = static_cast<std::int64_t>(inputs.front().size());
  const Parameters parameters(device, model);
  Network network(device, model.spec, parameters, kRows + 3, Network::Use::training);
  DeviceArray<float> x(device, kRows * cols);
  DeviceArray<float> target(device, kRows * cols);
  DeviceArray<float> gradients(device, parameters.size());
  DeviceArray<double> sums(device, 3);
  DeviceArray<std::int64_t> step(device, 1);
  x.upload(flat(inputs));
  target.upload(flat(targets));
  step.upload({&kStep, 1});
  const CodeDraw draw{.mean_only = false, .seed = kSeed, .step = step.tensor()};
  Step operations;
  const Matrix logits = network.run_to_logits(operations, {x.data(), kRows, cols}, 1, draw);
  network.backward(operations, logits, {target.data(), kRows, cols}, objective, draw,
                   gradients.data(),
                   {.loss = scalar_of(sums.data()),
                    .penalty = scalar_of(sums.data() + 1),
                    .kl = scalar_of(sums.data() + 2)});
  const std::unique_ptr<Program> recorded = device.compile(operations);
  recorded->replay(1);
  std::vector<float> result(static_cast<std::size_t>(gradients.size()));
  gradients.download(result);
  return result;
}

struct Case {
  std::string name;
  Shape input;
  std::vector<std::string> encoder;
  std::vector<std::string> decoder;
  Objective objective{};
};

void PrintTo(const Case& c, std::ostream* stream) {
  *stream << c.name;
}

std::vector<Case> cases() {
  const Objective mse{.loss = Loss::mse, .gradient_scale = 0.25F};
  std::vector<Case> all{
      {"convolution", {5, 6}, {"conv 2 3x3 tanh"}, {"conv 1 3x2 sigmoid"}},
      {"strides",
       {5, 6, 2},
       {"conv 3 3x3 stride 2 relu", "conv 2 2x3 silu"},
       {"transposed_conv 3 3x2 valid tanh", "conv 3 3x1 valid tanh", "flatten",
        "dense 60 sigmoid"}},
      {"transposed",
       {6, 4},
       {"conv 2 3x3 stride 2 tanh"},
       {"transposed_conv 3 3x3 stride 2 relu", "transposed_conv 1 3x3 sigmoid"}},
      {"pooled",
       {5, 6},
       {"conv 3 3x3 relu", "max_pool 2", "conv 2 3x3 tanh"},
       {"upsample 2", "conv 2 2x1 valid silu", "conv 1 3x3 sigmoid"}},
      {"pooled first", {4, 4}, {"max_pool 2", "dense 3 silu"}, {"reshape 1x3", "dense 16 sigmoid"}},
      {"upsampled first",
       {2, 2},
       {"upsample 2", "conv 1 3x3 tanh"},
       {"max_pool 2", "conv 1 1x1 sigmoid"}},
      {"dense between",
       {4, 4},
       {"conv 2 3x3 relu", "flatten", "dense 6 silu", "dense 3 tanh"},
       {"dense 8 relu", "reshape 2x2x2", "transposed_conv 1 3x3 stride 2 sigmoid"}},
      {"squared error",
       {4, 3},
       {"conv 2 3x3 silu", "dense 3"},
       {"dense 12", "reshape 4x3", "conv 1 3x3 identity"},
       mse},
      {"prelu",
       {7},
       {"dense 6 identity", "prelu", "dense 4 identity", "prelu"},
       {"dense 5 identity", "prelu", "dense 7 sigmoid"}},
      {"prelu of images and first as well",
       {4, 4},
       {"prelu", "conv 3 3x3 identity", "prelu", "max_pool 2"},
       {"upsample 2", "prelu", "conv 1 3x3 sigmoid"}},
      {"dropout",
       {7},
       {"dropout 0.3", "dense 6 relu", "dropout 0.5", "dense 5 silu", "dropout 0.2"},
       {"dropout 0.4", "dense 6 tanh", "dense 7 sigmoid"}},
      {"dropout of images",
       {4, 4},
       {"conv 2 3x3 relu", "dropout 0.3", "max_pool 2"},
       {"upsample 2", "dropout 0.2", "conv 1 3x3 sigmoid"}},
      {"layer norm",
       {7},
       {"dense 6 identity", "layer_norm relu", "dense 5 silu"},
       {"layer_norm silu", "dense 7 sigmoid"}},
      {"layer norm first", {7}, {"layer_norm tanh", "dense 4 tanh"}, {"dense 7 sigmoid"}},
      {"layer norm of images",
       {4, 3},
       {"conv 3 3x3 identity", "layer_norm silu"},
       {"conv 4 2x2 tanh", "layer_norm identity", "conv 1 3x3 sigmoid"}},
      {"batch norm",
       {7},
       {"dense 6 identity", "batch_norm relu", "dense 5 silu"},
       {"batch_norm silu", "dense 7 sigmoid"}},
      {"batch norm first", {7}, {"batch_norm tanh", "dense 4 tanh"}, {"dense 7 sigmoid"}},
      {"batch norm of images",
       {4, 3},
       {"conv 3 3x3 identity", "batch_norm silu"},
       {"conv 1 2x2 tanh", "batch_norm identity", "conv 1 3x3 sigmoid"}},
      {"norms and dropout between",
       {4, 4},
       {"conv 2 3x3 stride 2 identity", "batch_norm relu", "dropout 0.2", "dense 5 identity",
        "layer_norm tanh"},
       {"dropout 0.1", "dense 8 identity", "batch_norm silu", "reshape 2x2x2", "layer_norm relu",
        "upsample 2", "conv 1 3x3 sigmoid"}},
      {"gaussian after a norm",
       {7},
       {"dense 5 identity", "batch_norm relu", "gaussian 3"},
       {"dense 7 sigmoid"}},
      {"gaussian", {7}, {"dense 5 relu", "gaussian 3"}, {}},
      {"gaussian alone", {7}, {"gaussian 2"}, {"dense 7 sigmoid"}},
      {"gaussian after convolution",
       {4, 4},
       {"conv 2 3x3 stride 2 tanh", "gaussian 3"},
       {"dense 8 relu", "reshape 2x2x2", "upsample 2", "conv 1 3x3 sigmoid"}},
      {"beta", {7}, {"dense 5 tanh", "gaussian 3"}, {}, {.gradient_scale = 0.5F, .beta = 3}},
      {"warm-up", {7}, {"dense 5 tanh", "gaussian 3"}, {}, {.beta = 3, .warm_up_steps = 9}},
      {"free bits", {7}, {"dense 5 tanh", "gaussian 4"}, {}, {.beta = 2, .free_bits = 0.2F}},
      {"l1", {7}, {"dense 6 relu", "dense 5 tanh"}, {}, {.sparsity = {.l1 = 0.3F}}},
      {"l1 with silu", {7}, {"dense 5 silu"}, {}, {.sparsity = {.l1 = 0.3F}}},
      {"kl", {7}, {"dense 5 sigmoid"}, {}, {.sparsity = {.kl = 0.4F, .rho = 0.2F}}},
      {"l1 and kl",
       {7},
       {"dense 6 relu", "dense 5 sigmoid"},
       {},
       {.sparsity = {.l1 = 0.2F, .kl = 0.4F, .rho = 0.1F}}},
      {"top k", {7}, {"dense 6 relu", "dense 5 tanh", "top_k 2"}, {}},
      {"top k with l1", {7}, {"dense 6 identity", "top_k 3"}, {}, {.sparsity = {.l1 = 0.3F}}},
      {"tied", {7}, {"dense 5 tanh"}, {"dense 7 tied sigmoid"}},
      {"two tied",
       {7},
       {"dense 6 relu", "dense 4 silu"},
       {"dense 6 tied silu", "dense 7 tied sigmoid"}},
      {"outer tied",
       {7},
       {"dense 6 relu", "dense 4 silu"},
       {"dense 6 tanh", "dense 7 tied sigmoid"}},
      {"inner tied",
       {7},
       {"dense 6 relu", "dense 4 silu"},
       {"dense 6 tied tanh", "dense 7 sigmoid"}},
      {"tied with norms and dropout between",
       {7},
       {"dropout 0.2", "dense 6 identity", "layer_norm relu", "dropout 0.3", "dense 4 silu"},
       {"dropout 0.2", "dense 6 tied identity", "batch_norm silu", "dense 7 tied sigmoid"}},
      {"tied with images between",
       {4, 4},
       {"conv 2 3x3 stride 2 tanh", "dense 5 silu"},
       {"dense 8 tied relu", "reshape 2x2x2", "upsample 2", "conv 1 3x3 sigmoid"}},
      {"tied beside a gaussian",
       {7},
       {"dense 5 tanh", "gaussian 3"},
       {"dense 5 relu", "dense 7 tied sigmoid"}},
      {"tied to a sparse code",
       {7},
       {"dense 6 identity", "top_k 3"},
       {"dense 7 tied sigmoid"},
       {.sparsity = {.l1 = 0.3F}}},
  };
  return all;
}

class LayerGradients : public ::testing::TestWithParam<Case> {};

std::string case_name(const ::testing::TestParamInfo<Case>& info) {
  std::string name = info.param.name;
  for (char& c : name) {
    if (c == ' ' || c == '-') c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Models, LayerGradients, ::testing::ValuesIn(cases()), case_name);

TEST_P(LayerGradients, EqualFiniteDifferences) {
  constexpr double kDifference = 1e-5;
  constexpr double kMargin = 1e-3;
  std::vector<std::unique_ptr<Device>> devices;
  for (const Target& target : test::devices()) devices.push_back(target.make());
  const Case& c = GetParam();
  const ModelSpec spec =
      parse_model(c.input, c.encoder, c.decoder, Activation::tanh, Activation::sigmoid);
  // The first random model and data, of a fixed sequence, that are far from every kink.
  Model model;
  Batch inputs;
  Batch targets;
  std::vector<double> parameters;
  for (std::uint64_t seed = 1;; ++seed) {
    ASSERT_LT(seed, 2000U) << "every model comes near a kink";
    model = random_model(spec, seed);
    inputs = random_batch(spec.inputs(), 2 * seed);
    targets = random_batch(spec.inputs(), 2 * seed + 1);  // not the inputs: as in denoising
    parameters.assign(model.parameters.begin(), model.parameters.end());
    DoubleObjective objective(spec, c.objective, inputs, targets);
    objective.value(parameters);
    if (objective.nearest_kink > kMargin) break;
  }
  DoubleObjective objective(spec, c.objective, inputs, targets);
  std::vector<double> differences(parameters.size());
  double largest = 0;
  for (const LayerSlice& slice : layer_slices(spec)) {
    for (const TensorSlice& tensor : slice.tensors) {
      if (!tensor.is_trainable) continue;
      for (std::int64_t at = tensor.offset; at < tensor.offset + tensor.size(); ++at) {
        const auto i = static_cast<std::size_t>(at);
        const double old = parameters[i];
        parameters[i] = old + kDifference;
        const double above = objective.value(parameters);
        parameters[i] = old - kDifference;
        const double below = objective.value(parameters);
        parameters[i] = old;
        differences[i] = (above - below) / (2 * kDifference);
        largest = std::max(largest, std::abs(differences[i]));
      }
    }
  }
  ASSERT_GT(largest, 0.01);
  for (const std::unique_ptr<Device>& device : devices) {
    SCOPED_TRACE(device->name());
    const std::vector<float> actual = gradients_on(*device, model, c.objective, inputs, targets);
    double worst = 0;
    for (std::size_t i = 0; i < differences.size(); ++i) {
      const double off = std::abs(static_cast<double>(actual[i]) - differences[i]);
      ASSERT_FALSE(std::isnan(off)) << "parameter " << i;
      worst = std::max(worst, off);
    }
    EXPECT_LE(worst, 1e-5 * largest);
  }
}

}  // namespace
}  // namespace ae
