#include "cuda/check.hpp"

#include <string>
#include <string_view>

#include <fmt/format.h>

#include "ae/error.hpp"

namespace ae::cuda {

namespace {

std::string_view advice(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation:
      return "free memory on the GPU, or train a smaller model or batch";
    case cudaErrorNoDevice:
    case cudaErrorInsufficientDriver:
    case cudaErrorSystemDriverMismatch:
      return "install or update the NVIDIA driver (nvidia-smi must list the GPU), or use --device "
             "cpu";
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorInvalidDeviceFunction:
      return "build for this GPU: cmake -DAE_CUDA_ARCHITECTURES=native";
    case cudaErrorDevicesUnavailable:
      return "another process holds the GPU exclusively: wait for it, or use --device cuda:N";
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorAssert:
      return "this is a fault of a kernel: run again under compute-sanitizer and report what it "
             "says";
    default:
      return "report it with what ae info prints";
  }
}

}  // namespace

void check(cudaError_t status, const char* call, std::source_location where) {
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // or the next check would see this error again
  throw Error(fmt::format("{} failed on the GPU, {}: {} ({}), {}", call, cudaGetErrorName(status),
                          cudaGetErrorString(status), to_string(where), advice(status)));
}

std::string to_string(const std::source_location& where) {
  std::string_view file = where.file_name();
  file.remove_prefix(file.find_last_of('/') + 1);
  return fmt::format("{}:{}", file, where.line());
}

}  // namespace ae::cuda
