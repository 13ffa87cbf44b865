#include "train/evaluation.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "train/data_fit.hpp"

namespace ae {

Evaluation::Evaluation(Device& device, const ModelSpec& spec, const Parameters& parameters,
                       const Dataset& data, const EvaluationOptions& options)
    : device_(device),
      options_(options),
      row_size_(data.row_size()),
      density_(density_after(options.noise, data.density())),
      data_(device.make_resident(data)),
      network_(device, spec, parameters, std::min(kInferenceRows, data.rows()),
               Network::Use::inference),
      x_(device, std::min(kInferenceRows, data.rows()) * data.row_size()),
      noisy_(device, options.noise.kind == Noise::none ? 0 : x_.size()),
      device_sums_(device, data.rows()),
      device_kl_(device, spec.is_variational() ? data.rows() : 0),
      sums_(static_cast<std::size_t>(device_sums_.size())),
      kl_(static_cast<std::size_t>(device_kl_.size())) {}

void Evaluation::sum_rows() {
  const std::int64_t rows = data_->rows();
  for (std::int64_t first = 0; first < rows; first += kInferenceRows) {
    const Matrix x{x_.data(), std::min(kInferenceRows, rows - first), row_size_};
    Matrix input = x;
    step_.clear();
    step_.add(GatherRows{.data = data_.get(), .first_row = first, .x = x});
    if (options_.noise.kind != Noise::none) {
      input.data = noisy_.data();
      step_.add(CorruptBatch{.noise = options_.noise,
                             .seed = kEvaluationSeed,
                             .first_row = first,
                             .clean = x,
                             .noisy = input});
    }
    const CodeDraw draw{.mean_only = false,
                        .seed = kEvaluationSeed,
                        .first_row = first,
                        .kl = kl_.empty() ? Tensor<double>{}
                                          : Tensor<double>{device_kl_.data() + first, x.rows, 1}};
    const Matrix logits = network_.run_to_logits(step_, input, density_, draw);
    network_.row_losses(step_, logits, x, options_.loss, {device_sums_.data() + first, x.rows, 1});
    device_.run(step_);
  }
  device_sums_.download(sums_);
  if (!kl_.empty()) device_kl_.download(kl_);
}

EvaluationResult Evaluation::run() {
  sum_rows();
  const double divisor = loss_divisor(options_.reduction, data_->rows(), row_size_);
  const double losses = std::accumulate(sums_.begin(), sums_.end(), 0.0);
  EvaluationResult result{.loss = losses / divisor,
                          .reconstruction = losses / divisor,
                          .kl = std::numeric_limits<double>::quiet_NaN()};
  if (!kl_.empty()) {
    const double kl = std::accumulate(kl_.begin(), kl_.end(), 0.0);
    result.loss += static_cast<double>(options_.beta) * kl / divisor;
    result.kl = kl / static_cast<double>(data_->rows());
  }
  if (options_.per_row) {
    const double row_divisor = loss_divisor(options_.reduction, 1, row_size_);
    for (std::size_t row = 0; row < sums_.size(); ++row) {
      const double kl = kl_.empty() ? 0 : static_cast<double>(options_.beta) * kl_[row];
      result.row_losses.push_back((sums_[row] + kl) / row_divisor);
    }
  }
  return result;
}

double density_after(const NoiseOptions& noise, double density) {
  const auto amount = static_cast<double>(noise.amount);
  switch (noise.kind) {
    case Noise::none:
      return density;
    case Noise::gaussian:
      return 1;
    case Noise::masking:
      return density * (1 - amount);
    case Noise::salt_and_pepper:
      return density * (1 - amount) + amount / 2;
  }
  return 1;
}

double loss_divisor(Reduction reduction, std::int64_t rows, std::int64_t row_size) {
  const auto samples = static_cast<double>(rows);
  return reduction == Reduction::mean ? samples * static_cast<double>(row_size) : samples;
}

void require_rows(const Dataset& data) {
  if (data.rows() == 0) {
    throw DataMismatch(fmt::format("{} holds no rows, give at least one",
                                   data.source().empty() ? "the data set" : data.source()));
  }
}

void require_fit(const ModelSpec& spec, const Dataset& data) {
  require_rows(data);
  if (data.row_size() != spec.inputs()) {
    throw DataMismatch(
        fmt::format("{} has rows of {} values ({}), but the model takes {} ({}); use data of "
                    "the shape it was trained on",
                    data.source(), data.row_size(), to_string(data.row_shape()), spec.inputs(),
                    to_string(spec.input_shape)));
  }
  require_channel_order(spec, data);
}

void require_loss_fits(const ModelSpec& spec, const Dataset& data, Loss loss) {
  if (loss == Loss::bce && spec.output_activation() != Activation::sigmoid) {
    throw UsageError(
        fmt::format("binary cross-entropy needs outputs in (0, 1), but the output activation is "
                    "{}; use sigmoid, "
                    "or the loss mse",
                    to_string(spec.output_activation())));
  }
  data.require_finite(loss == Loss::bce);
}

}  // namespace ae
