#pragma once

#include <cstdint>
#include <vector>

#include "ae/model.hpp"

namespace ae {

/// Where a model's numbers lie, worked out once: layer_slices(), trainable_floats() and
/// parameter_floats().
struct Layout {
  std::vector<LayerSlice> slices;
  std::int64_t trainable = 0;
  std::int64_t floats = 0;
};

/// @throws UsageError as output_shape.
Layout layout_of(const ModelSpec& spec);

}  // namespace ae
