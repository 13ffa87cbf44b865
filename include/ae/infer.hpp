#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ae/dataset.hpp"
#include "ae/device.hpp"
#include "ae/model.hpp"
#include "ae/train.hpp"

/// All functions here check what they are given. @throws UsageError as Model::validate,
/// TrainOptions::validate (for noise and beta) and resolve_device, DataMismatch for rows that do
/// not fit the model and for no rows at all; Error for values that are NaN or infinite, and for a
/// device that cannot be used.
namespace ae {

struct EvaluationOptions {
  Loss loss = Loss::bce;
  Reduction reduction = Reduction::mean;
  NoiseOptions noise{};  ///< on what the encoder sees; targets are clean
  float beta = 1;        ///< of variational models, see VariationalOptions
  bool per_row = false;  ///< whether the result has row_losses
};

/// As a training judges its held-out rows.
EvaluationOptions evaluation_options(const TrainOptions& training);

/// Means over samples. The noise and the draws of a variational code, one a sample, depend on the
/// sample's row number alone.
struct EvaluationResult {
  double loss = 0;            ///< reduced as asked; of a variational model with β·KL
  double reconstruction = 0;  ///< without it
  double kl = 0;              ///< nats a sample, whatever the reduction; NaN for other models
  /// Each row's own loss (its mean or its sum over elements): what anomaly detection ranks by.
  std::vector<double> row_losses{};
};

/// Also @throws UsageError for BCE of a model without a sigmoid output; Error for data outside [0,
/// 1] with BCE.
EvaluationResult evaluate(const Model& model, const Dataset& data,
                          const EvaluationOptions& options = {}, const DeviceOptions& device = {});

/// What a set of codes is like.
struct CodeStatistics {
  double mean_activation = 0;     ///< mean of |y|
  double zeros = 0;               ///< fraction of values that are zero
  std::int64_t active_units = 0;  ///< whose variance over the set is above 0.01 (Burda et al.,
                                  ///< "Importance weighted autoencoders", ICLR 2016, section 5.1.3)
};

/// Of codes (rows, latent), row-major; all zero for no codes.
/// @throws UsageError if `latent` is below 1 or does not divide their number.
CodeStatistics describe_codes(std::span<const float> codes, std::int64_t latent);

/// Latent codes, the means of a variational one, (rows, model.spec.latent()) row-major.
std::vector<float> encode(const Model& model, const Dataset& data,
                          const DeviceOptions& device = {});

/// Samples from codes, (rows, model.spec.inputs()) row-major.
std::vector<float> decode(const Model& model, const Dataset& codes,
                          const DeviceOptions& device = {});

/// `data` with noise, as evaluation adds it.
Dataset corrupt(const Dataset& data, const NoiseOptions& noise, const DeviceOptions& device = {});

/// decode(encode(data)) in one pass, (rows, model.spec.inputs()) row-major.
std::vector<float> reconstruct(const Model& model, const Dataset& data,
                               const DeviceOptions& device = {});

}  // namespace ae
