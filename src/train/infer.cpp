#include "ae/infer.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <span>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "device/device.hpp"
#include "executors/make_device.hpp"
#include "model/network.hpp"
#include "train/evaluation.hpp"

namespace ae {

namespace {

/// The outputs of layers first … last - 1 for every row of `data`.
std::vector<float> run_layers(const Model& model, const Dataset& data, std::size_t first,
                              std::size_t last, const DeviceOptions& on) {
  const std::unique_ptr<Device> device = make_device(on);
  const std::int64_t batch = std::min(kInferenceRows, data.rows());
  const Parameters parameters(*device, model);
  Network network(*device, model.spec, parameters, batch, Network::Use::inference);
  const DeviceArray<float> x_memory(*device, batch * data.row_size());
  const std::unique_ptr<ResidentData> resident = device->make_resident(data);

  std::vector<float> outputs;
  for (std::int64_t row = 0; row < data.rows(); row += batch) {
    const Matrix x{x_memory.data(), std::min(batch, data.rows() - row), data.row_size()};
    Step step;
    step.add(GatherRows{.data = resident.get(), .first_row = row, .x = x});
    const Matrix y = network.run(step, x, first, last);
    device->run(step);
    if (outputs.empty()) outputs.resize(static_cast<std::size_t>(data.rows() * y.cols));
    device->download(outputs.data() + row * y.cols, y.data,
                     static_cast<std::size_t>(y.size()) * sizeof(float));
  }
  return outputs;
}

}  // namespace

EvaluationOptions evaluation_options(const TrainOptions& training) {
  return {.loss = training.loss,
          .reduction = training.reduction,
          .noise = training.noise,
          .beta = training.variational.beta};
}

EvaluationResult evaluate(const Model& model, const Dataset& data, const EvaluationOptions& options,
                          const DeviceOptions& on) {
  model.validate();
  require_fit(model.spec, data);
  require_in_range(options);
  require_loss_fits(model.spec, data, options.loss);
  const std::unique_ptr<Device> device = make_device(on);
  const Parameters parameters(*device, model);
  return Evaluation(*device, model.spec, parameters, data, options).run();
}

CodeStatistics describe_codes(std::span<const float> codes, std::int64_t latent) {
  constexpr double kActive = 0.01;
  const auto cols = static_cast<std::size_t>(latent);
  if (latent < 1 || codes.size() % cols != 0) {
    throw UsageError(
        fmt::format("{} numbers make no whole number of codes of {}", codes.size(), latent));
  }
  CodeStatistics statistics;
  if (codes.empty()) return statistics;
  const double rows = static_cast<double>(codes.size() / cols);
  std::vector<double> sums(cols);
  std::vector<double> squares(cols);
  double zeros = 0;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const auto value = static_cast<double>(codes[i]);
    sums[i % cols] += value;
    statistics.mean_activation += std::abs(value);
    zeros += value == 0 ? 1 : 0;
  }
  // Around the means, lest two large sums cancel.
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const double off = static_cast<double>(codes[i]) - sums[i % cols] / rows;
    squares[i % cols] += off * off;
  }
  statistics.mean_activation /= static_cast<double>(codes.size());
  statistics.zeros = zeros / static_cast<double>(codes.size());
  statistics.active_units = std::count_if(squares.begin(), squares.end(),
                                          [&](double square) { return square / rows > kActive; });
  return statistics;
}

std::vector<float> encode(const Model& model, const Dataset& data, const DeviceOptions& on) {
  model.validate();
  require_fit(model.spec, data);
  data.require_finite(false);
  return run_layers(model, data, 0, model.spec.encoder.size(), on);
}

std::vector<float> decode(const Model& model, const Dataset& codes, const DeviceOptions& on) {
  model.validate();
  require_rows(codes);
  if (codes.row_size() != model.spec.latent()) {
    throw DataMismatch(
        fmt::format("{} has codes of {} numbers, but the model's have {}; use codes that this "
                    "model's encoder made",
                    codes.source(), codes.row_size(), model.spec.latent()));
  }
  codes.require_finite(false);
  return run_layers(model, codes, model.spec.encoder.size(), model.spec.layers().size(), on);
}

Dataset corrupt(const Dataset& data, const NoiseOptions& noise, const DeviceOptions& on) {
  require_in_range(noise);
  require_rows(data);
  data.require_finite(false);
  const std::unique_ptr<Device> device = make_device(on);
  const std::unique_ptr<ResidentData> resident = device->make_resident(data);
  const DeviceArray<float> memory(*device, data.rows() * data.row_size());
  const Matrix x{memory.data(), data.rows(), data.row_size()};
  Step step;
  step.add(GatherRows{.data = resident.get(), .x = x});
  step.add(CorruptBatch{.noise = noise, .seed = kEvaluationSeed, .clean = x, .noisy = x});
  device->run(step);
  std::vector<float> values(static_cast<std::size_t>(x.size()));
  memory.download(values);
  return {data.source(), data.row_shape(), std::move(values)};
}

std::vector<float> reconstruct(const Model& model, const Dataset& data, const DeviceOptions& on) {
  model.validate();
  require_fit(model.spec, data);
  data.require_finite(false);
  return run_layers(model, data, 0, model.spec.layers().size(), on);
}

}  // namespace ae
