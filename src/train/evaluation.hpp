#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ae/train.hpp"

#include "backend/backend.hpp"
#include "model/network.hpp"

namespace ae {

/// Rows that are taken through a network at a time when nothing is trained.
inline constexpr std::int64_t kInferenceRows = 1024;

/// Held-out rows, kept on the device together with what their evaluation needs, so that judging a
/// model after every epoch allocates nothing.
class Evaluation {
 public:
  Evaluation(Backend& backend, const ModelSpec& spec, const Parameters& parameters,
             const Dataset& data);

  /// Each row's Σ loss.
  std::span<const double> row_sums(Loss loss);

  /// The loss over all rows.
  double mean(Loss loss, Reduction reduction);

 private:
  Backend& backend_;
  std::int64_t row_size_;
  double density_;
  std::unique_ptr<ResidentData> data_;
  Network network_;
  DeviceArray<float> x_;
  DeviceArray<double> device_sums_;
  std::vector<double> sums_;
};

/// What divides a sum over elements: rows·row_size for a mean over elements, rows for a sum per
/// sample.
double loss_divisor(Reduction reduction, std::int64_t rows, std::int64_t row_size);

/// @throws UsageError if rows of `data` are not as wide as the model's input, or there are none.
void require_fit(const ModelSpec& spec, const Dataset& data);

/// @throws UsageError for BCE without a sigmoid output; Error for data the loss does not allow.
void require_loss_fits(const ModelSpec& spec, const Dataset& data, Loss loss);

}  // namespace ae
