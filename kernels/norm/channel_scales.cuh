#pragma once

#include <cstdint>

#include "common/launch.hpp"
#include "common/pack.cuh"
#include "formulas/normalization.hpp"

/// What a thread's values are normalised by, in kernels in the frame of column_sums.cuh over
/// (groups, channels), where a thread keeps to its columns.
namespace ae::AE_DEVICE_NAMESPACE {

/// Each channel by its own: statistics = [μ | σ²], (2, channels).
template <int kWidth>
struct ScalesOfChannels {
  normalization::Scale scale[kWidth];

  __device__ ScalesOfChannels(const float* statistics, std::int64_t channels, std::int64_t col) {
    AE_UNROLL
    for (int i = 0; i < kWidth; ++i) {
      scale[i] = {statistics[col + i],
                  normalization::inverse_deviation(statistics[channels + col + i])};
    }
  }
  __device__ void enter(std::int64_t /*group*/) {}
  __device__ const normalization::Scale& of(int i) const { return scale[i]; }
};

/// Each group by its own: statistics = (groups, 2), of μ and 1/√(σ² + ε).
template <int kWidth>
struct ScalesOfGroups {
  const float* statistics;
  normalization::Scale scale;

  __device__ ScalesOfGroups(const float* statistics_, std::int64_t /*channels*/,
                            std::int64_t /*col*/)
      : statistics(statistics_), scale{} {}
  __device__ void enter(std::int64_t group) {
    scale = {statistics[2 * group], statistics[2 * group + 1]};
  }
  __device__ const normalization::Scale& of(int /*i*/) const { return scale; }
};

/// Four columns a lane only where that leaves no lane without any.
inline constexpr std::int64_t kWideChannels = 128;

}  // namespace ae::AE_DEVICE_NAMESPACE
