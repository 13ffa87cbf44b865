#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <fmt/format.h>
#if AE_HAS_CUDNN
#include <cudnn.h>
#endif

#include "device/cuda/cuda_device.hpp"

namespace ae {

namespace {

std::string cuda_version(int number) {
  return number == 0 ? "none" : fmt::format("{}.{}", number / 1000, number % 1000 / 10);
}

template <typename Status>
std::string library_version(Status (*get_property)(libraryPropertyType, int*)) {
  int major = 0;
  int minor = 0;
  int patch = 0;
  static_cast<void>(get_property(MAJOR_VERSION, &major));
  static_cast<void>(get_property(MINOR_VERSION, &minor));
  static_cast<void>(get_property(PATCH_LEVEL, &patch));
  return fmt::format("{}.{}.{}", major, minor, patch);
}

}  // namespace

bool has_cudnn() {
  return AE_HAS_CUDNN != 0;
}

std::vector<LibraryVersion> list_cuda_libraries() {
  int runtime = 0;
  int driver = 0;
  static_cast<void>(cudaRuntimeGetVersion(&runtime));
  static_cast<void>(cudaDriverGetVersion(&driver));
  std::vector<LibraryVersion> libraries{{"CUDA", cuda_version(runtime)},
                                        {"CUDA driver", cuda_version(driver)}};
  libraries.push_back({"cuBLAS", library_version(cublasGetProperty)});
#if AE_HAS_CUDNN
  libraries.push_back({"cuDNN", library_version(cudnnGetProperty)});
#endif
  return libraries;
}

}  // namespace ae
