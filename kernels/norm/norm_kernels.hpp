#pragma once

#include <cstdint>

#include "common/launch_context.hpp"
#include "norm/batch_norm.hpp"
#include "norm/layer_norm.hpp"

/// The kernels that an operation of the family has beside its own. x is (groups, channels).
namespace ae::AE_DEVICE_NAMESPACE {

/// What a training BatchNormForward learns of a batch: mean_var, and what the running ones become.
void batch_statistics(const BatchNormForward& op, LaunchContext& context);

/// The part that both backward passes have in common: dy becomes dz, and the sums dγ and dβ.
void norm_gradient(const LayerNormBackward& op, LaunchContext& context);
void norm_gradient(const BatchNormBackward& op, LaunchContext& context);

}  // namespace ae::AE_DEVICE_NAMESPACE
