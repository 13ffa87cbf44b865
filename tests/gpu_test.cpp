// Whether there is a GPU. On it every operation, step and training test runs once more, under names
// with "cuda" in them; without one there are no such tests, and this one says so.

#include <cstdlib>

#include <gtest/gtest.h>

#include "ae/device.hpp"

#include "device/cuda/cuda_device.hpp"

namespace ae {
namespace {

TEST(Gpu, IsThere) {
  const DeviceInfo gpu = list_cuda_devices().front();
  if (gpu.usable) {
    EXPECT_TRUE(is_cuda_device(gpu.name));
    EXPECT_EQ(resolve_device({}).name, gpu.name) << "auto must take the GPU";
    return;
  }
  if (std::getenv("AE_REQUIRE_GPU") != nullptr)
    FAIL() << "AE_REQUIRE_GPU is set, but " << gpu.why_not;
  GTEST_SKIP() << "nothing ran on a GPU: " << gpu.why_not;
}

}  // namespace
}  // namespace ae
