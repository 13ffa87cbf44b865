#include "ae/error.hpp"

#include "device/cuda/cuda_device.hpp"
#include "device/device.hpp"

namespace ae {

std::vector<DeviceInfo> list_cuda_devices() {
  return {{"cuda", "NVIDIA GPU", false,
           "this build has no CUDA backend (CUDA was not found, or AE_CUDA was OFF, when it was "
           "built)"}};
}

bool has_cudnn() {
  return false;
}

std::unique_ptr<Device> make_cuda_device(int /*index*/, const DeviceOptions& /*options*/) {
  throw Error("this build has no CUDA backend, build it with -DAE_CUDA=ON where CUDA's nvcc is");
}

std::vector<LibraryVersion> list_cuda_libraries() {
  return {};
}

}  // namespace ae
