#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ae/infer.hpp"
#include "ae/train.hpp"

#include "device/device.hpp"
#include "model/network.hpp"
#include "step/step.hpp"

namespace ae {

/// Rows that are taken through a network at a time when nothing is trained.
inline constexpr std::int64_t kInferenceRows = 1024;

/// Of the noise and the draws in every evaluation, so that figures can be compared.
inline constexpr std::uint64_t kEvaluationSeed = 0x6165;

/// Held-out rows, kept on the device together with what their evaluation needs, so that judging a
/// model after every epoch allocates nothing.
class Evaluation {
 public:
  Evaluation(Device& device, const ModelSpec& spec, const Parameters& parameters,
             const Dataset& data, const EvaluationOptions& options);

  EvaluationResult run();

 private:
  /// Each row's Σ loss, and its KL divergence, of variational models.
  void sum_rows();

  Device& device_;
  EvaluationOptions options_;
  std::int64_t row_size_;
  double density_;
  std::unique_ptr<ResidentData> data_;
  Network network_;
  Step step_;  ///< of a batch after the other
  DeviceArray<float> x_;
  DeviceArray<float> noisy_;
  DeviceArray<double> device_sums_;
  DeviceArray<double> device_kl_;
  std::vector<double> sums_;
  std::vector<double> kl_;
};

/// About what fraction of values is not zero after the noise.
double density_after(const NoiseOptions& noise, double density);

/// What divides a sum over elements: rows·row_size for a mean over elements, rows for a sum per
/// sample.
double loss_divisor(Reduction reduction, std::int64_t rows, std::int64_t row_size);

/// @throws DataMismatch if there are none.
void require_rows(const Dataset& data);

/// @throws DataMismatch if rows of `data` are not as wide as the model's input, or there are none.
void require_fit(const ModelSpec& spec, const Dataset& data);

/// @throws UsageError if its amount is none that its kind can have.
void require_in_range(const NoiseOptions& noise);

/// @throws UsageError if one of the options can have no such value.
void require_in_range(const EvaluationOptions& options);

/// @throws UsageError for sparsity of a code that cannot have it.
void require_code_fits(const ModelSpec& spec, const SparsityOptions& sparsity);

/// @throws UsageError for BCE without a sigmoid output; Error for data the loss does not allow.
void require_loss_fits(const ModelSpec& spec, const Dataset& data, Loss loss);

}  // namespace ae
