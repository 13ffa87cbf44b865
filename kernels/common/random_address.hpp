#pragma once

#include <cstdint>

#include "common/launch.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

/// Where random numbers come from: the stream of `seed` that the step pointed to has, null for
/// stream 0, from number `first` on.
struct RandomAddress {
  std::uint64_t seed = 0;
  const std::int64_t* step = nullptr;
  std::int64_t first = 0;
};

}  // namespace ae::AE_DEVICE_NAMESPACE
