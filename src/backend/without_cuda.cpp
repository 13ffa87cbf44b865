#include "ae/error.hpp"

#include "backend/cuda/cuda_backend.hpp"

namespace ae {

std::vector<DeviceInfo> list_cuda_devices() {
  return {{"cuda", "NVIDIA GPU", false,
           "this build has no CUDA backend (CMake found no CUDA compiler, nvcc)"}};
}

std::unique_ptr<Backend> make_cuda_backend(int /*index*/, const DeviceOptions& /*options*/) {
  throw Error("this build has no CUDA backend, build where CUDA's nvcc is installed");
}

}  // namespace ae
