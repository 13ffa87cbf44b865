#pragma once

#include <cstdint>
#include <vector>

#include "ae/dataset.hpp"
#include "ae/device.hpp"
#include "ae/model.hpp"
#include "ae/train.hpp"

namespace ae {

/// The loss of `model` over all rows of `data`, reduced as asked.
/// @throws UsageError if the rows do not fit the model; Error for data the loss does not allow.
double evaluate(const Model& model, const Dataset& data, Loss loss, Reduction reduction,
                const DeviceOptions& device = {});

/// Each row's own loss (its mean or its sum over elements): what anomaly detection ranks by.
std::vector<double> evaluate_rows(const Model& model, const Dataset& data, Loss loss,
                                  Reduction reduction, const DeviceOptions& device = {});

/// Latent codes, (rows, model.spec.latent()) row-major.
std::vector<float> encode(const Model& model, const Dataset& data,
                          const DeviceOptions& device = {});

/// Samples from codes, (rows, model.spec.inputs()) row-major.
std::vector<float> decode(const Model& model, const Dataset& codes,
                          const DeviceOptions& device = {});

/// decode(encode(data)) in one pass, (rows, model.spec.inputs()) row-major.
std::vector<float> reconstruct(const Model& model, const Dataset& data,
                               const DeviceOptions& device = {});

}  // namespace ae
