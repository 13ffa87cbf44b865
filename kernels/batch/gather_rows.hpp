#pragma once

#include <cstdint>

#include "common/launch_context.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

/// Where a gather takes its rows from, in device memory: bytes (value / 255) or floats, one of them
/// null.
struct GatherSource {
  const std::uint8_t* bytes = nullptr;
  const float* floats = nullptr;
};

/// Which rows: with a permutation, those of the current step's batch (see ae::GatherBatch);
/// without, consecutive ones from `first_row` on.
struct GatherRowsChosen {
  const std::int32_t* permutation = nullptr;
  const std::int64_t* step = nullptr;
  std::int64_t steps_per_epoch = 1;
  std::int64_t batch_size = 0;
  std::int64_t first_row = 0;
};

/// x[i, :] = source[row(i), :], converted; x (rows, cols).
void gather(const GatherSource& source, const GatherRowsChosen& chosen, float* x, std::int64_t rows,
            std::int64_t cols, LaunchContext& context);

}  // namespace ae::AE_DEVICE_NAMESPACE
