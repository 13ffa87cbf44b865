#pragma once

#include <cstdint>

#include "common/launch_context.hpp"

/// Sums over a batch that a code's gradient needs first, of its columns.
namespace ae::AE_DEVICE_NAMESPACE {

/// sums[c] = Σ over rows of y[:, c]; y (rows, cols).
void sum_activations(const float* y, std::int64_t rows, std::int64_t cols, float* sums,
                     const Scratch& scratch, LaunchContext& context);

/// sums[c] = Σ over rows of the divergence of column c of a Gaussian code h (rows, 2·latent).
void sum_divergences(const float* h, std::int64_t rows, std::int64_t latent, float* sums,
                     const Scratch& scratch, LaunchContext& context);

}  // namespace ae::AE_DEVICE_NAMESPACE
