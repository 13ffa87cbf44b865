#include "ae/error.hpp"

#include "backend/cuda/cuda_backend.hpp"

namespace ae {

std::vector<DeviceInfo> list_cuda_devices() {
  return {{"cuda", "NVIDIA GPU", false,
           "this build has no CUDA backend (it was built without -DAE_CUDA=ON)"}};
}

std::unique_ptr<Backend> make_cuda_backend(int /*index*/, const DeviceOptions& /*options*/) {
  throw Error("this build has no CUDA backend, build it with -DAE_CUDA=ON where CUDA's nvcc is");
}

}  // namespace ae
