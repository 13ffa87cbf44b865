#pragma once

#include <cstdint>

#include "ae/activation.hpp"

#include "common/launch_context.hpp"

/// The kernels of activations, for the operations that an activation is a part of. Matrices are
/// row-major and contiguous, (rows, cols), of device memory. Where biases repeat along a row,
/// `channels` is their number; 0 is one a column.
namespace ae::AE_DEVICE_NAMESPACE {

/// y = f(z), z = y + bias, in place; bias may be null. Where the activation's slope needs z, it is
/// also written to `z` (rows, cols) unless that is null.
void bias_activation(Activation activation, const float* bias, float* y, float* z,
                     std::int64_t rows, std::int64_t cols, LaunchContext& context,
                     std::int64_t channels = 0);

/// dx = dx ⊙ f'(z), in place; sums[c] = Σ over rows of dx[:, c]. `saved` is y = f(z), or z where
/// the slope needs that (slope_from_input).
void activation_gradient(Activation activation, const float* saved, float* dx, std::int64_t rows,
                         std::int64_t cols, float* sums, LaunchContext& context,
                         std::int64_t channels = 0);

}  // namespace ae::AE_DEVICE_NAMESPACE
