#include "ae/infer.hpp"

#include <algorithm>
#include <memory>
#include <span>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "backend/backend.hpp"
#include "model/network.hpp"
#include "train/evaluation.hpp"

namespace ae {

namespace {

/// The outputs of layers first … last - 1 for every row of `data`.
std::vector<float> run_layers(const Model& model, const Dataset& data, std::size_t first,
                              std::size_t last, const DeviceOptions& device) {
  const std::unique_ptr<Backend> backend = make_backend(device);
  const std::int64_t batch = std::min(kInferenceRows, data.rows());
  const Parameters parameters(*backend, model);
  Network network(*backend, model.spec, parameters, batch, Network::Use::inference);
  const DeviceArray<float> x_memory(*backend, batch * data.row_size());
  const std::unique_ptr<ResidentData> resident = backend->make_resident(data);

  std::vector<float> outputs;
  for (std::int64_t row = 0; row < data.rows(); row += batch) {
    const Matrix x{x_memory.data(), std::min(batch, data.rows() - row), data.row_size()};
    backend->gather_rows({.data = resident.get(), .first_row = row, .x = x});
    const ConstMatrix y = network.run(x, first, last);
    if (outputs.empty()) outputs.resize(static_cast<std::size_t>(data.rows() * y.cols));
    backend->download(outputs.data() + row * y.cols, y.data,
                      static_cast<std::size_t>(y.size()) * sizeof(float));
  }
  return outputs;
}

}  // namespace

std::vector<double> evaluate_rows(const Model& model, const Dataset& data, Loss loss,
                                  Reduction reduction, const DeviceOptions& device) {
  require_fit(model.spec, data);
  require_loss_fits(model.spec, data, loss);
  const std::unique_ptr<Backend> backend = make_backend(device);
  const Parameters parameters(*backend, model);
  Evaluation evaluation(*backend, model.spec, parameters, data);
  const std::span<const double> sums = evaluation.row_sums(loss);
  std::vector<double> losses(sums.begin(), sums.end());
  const double divisor = loss_divisor(reduction, 1, data.row_size());
  for (double& row : losses) row /= divisor;
  return losses;
}

double evaluate(const Model& model, const Dataset& data, Loss loss, Reduction reduction,
                const DeviceOptions& device) {
  require_fit(model.spec, data);
  require_loss_fits(model.spec, data, loss);
  const std::unique_ptr<Backend> backend = make_backend(device);
  const Parameters parameters(*backend, model);
  return Evaluation(*backend, model.spec, parameters, data).mean(loss, reduction);
}

std::vector<float> encode(const Model& model, const Dataset& data, const DeviceOptions& device) {
  require_fit(model.spec, data);
  data.require_finite(false);
  return run_layers(model, data, 0, model.spec.encoder.size(), device);
}

std::vector<float> decode(const Model& model, const Dataset& codes, const DeviceOptions& device) {
  if (codes.row_size() != model.spec.latent()) {
    throw Error(
        fmt::format("{} has codes of {} numbers, but the model's have {}; use codes that this "
                    "model's encoder made",
                    codes.source(), codes.row_size(), model.spec.latent()));
  }
  codes.require_finite(false);
  return run_layers(model, codes, model.spec.encoder.size(), model.spec.layers().size(), device);
}

std::vector<float> reconstruct(const Model& model, const Dataset& data,
                               const DeviceOptions& device) {
  require_fit(model.spec, data);
  data.require_finite(false);
  return run_layers(model, data, 0, model.spec.layers().size(), device);
}

}  // namespace ae
