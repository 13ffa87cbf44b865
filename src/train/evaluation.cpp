#include "train/evaluation.hpp"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "ae/error.hpp"

namespace ae {

Evaluation::Evaluation(Backend& backend, const ModelSpec& spec, const Parameters& parameters,
                       const Dataset& data)
    : backend_(backend),
      row_size_(data.row_size()),
      density_(data.density()),
      data_(backend.make_resident(data)),
      network_(backend, spec, parameters, std::min(kInferenceRows, data.rows()),
               Network::Use::inference),
      x_(backend, std::min(kInferenceRows, data.rows()) * data.row_size()),
      device_sums_(backend, data.rows()),
      sums_(static_cast<std::size_t>(data.rows())) {}

std::span<const double> Evaluation::row_sums(Loss loss) {
  const std::int64_t rows = data_->rows();
  for (std::int64_t first = 0; first < rows; first += kInferenceRows) {
    const Matrix x{x_.data(), std::min(kInferenceRows, rows - first), row_size_};
    backend_.gather_rows({.data = data_.get(), .first_row = first, .x = x});
    const Matrix logits = network_.run_to_logits(x, density_);
    network_.row_losses(logits, x, loss, device_sums_.data() + first);
  }
  device_sums_.download(sums_);
  return sums_;
}

double Evaluation::mean(Loss loss, Reduction reduction) {
  const std::span<const double> sums = row_sums(loss);
  return std::accumulate(sums.begin(), sums.end(), 0.0) /
         loss_divisor(reduction, data_->rows(), row_size_);
}

double loss_divisor(Reduction reduction, std::int64_t rows, std::int64_t row_size) {
  const auto samples = static_cast<double>(rows);
  return reduction == Reduction::mean ? samples * static_cast<double>(row_size) : samples;
}

void require_fit(const ModelSpec& spec, const Dataset& data) {
  if (data.rows() == 0) {
    throw Error(fmt::format("{} holds no rows, give at least one", data.source()));
  }
  if (data.row_size() != spec.inputs()) {
    throw Error(
        fmt::format("{} has rows of {} values ({}), but the model takes {} ({}); use data of "
                    "the shape it was trained on",
                    data.source(), data.row_size(), to_string(data.row_shape()), spec.inputs(),
                    to_string(spec.input_shape)));
  }
}

void require_loss_fits(const ModelSpec& spec, const Dataset& data, Loss loss) {
  if (loss == Loss::bce && spec.decoder.back().activation != Activation::sigmoid) {
    throw UsageError(
        fmt::format("binary cross-entropy needs outputs in (0, 1), but the output activation is "
                    "{}; use sigmoid, "
                    "or the loss mse",
                    to_string(spec.decoder.back().activation)));
  }
  data.require_finite(loss == Loss::bce);
}

}  // namespace ae
