#pragma once

#include "common/launch_context.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

/// A plain tiled product: what runs where there is no cuBLAS, and the second opinion where there
/// is.
void gemm(const Product& product, LaunchContext& context);

}  // namespace ae::AE_DEVICE_NAMESPACE
