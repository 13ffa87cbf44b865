#pragma once

#include <cstdint>

#include "ae/layers.hpp"

/// Checks of a layer's numbers, where its shapes do not tell: as a struct it can have any, and must
/// have such as its text can have.
namespace ae {

/// @throws UsageError naming the layer and `what`, unless `value` is from 1 to `max`.
void require_within(const LayerSpec& layer, const char* what, std::int64_t value, std::int64_t max);

/// @throws UsageError for a number that is no activation.
void require_known(Activation activation);

}  // namespace ae
