#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ae/device.hpp"

/// The boundary to CUDA: no CUDA header comes through here. A build without CUDA has these
/// functions from without_cuda.cpp.
namespace ae {

class Device;

/// "cuda:0", "cuda:1", …, or one unusable "cuda" that says what is missing.
std::vector<DeviceInfo> list_cuda_devices();

/// Whether a resolved device's name is one of a GPU.
inline bool is_cuda_device(std::string_view name) {
  return name.starts_with("cuda:");
}

/// Whether this build can run a GPU's convolutions on cuDNN.
bool has_cudnn();

/// Whether a GPU's convolutions run on cuDNN, see DeviceOptions::convolution.
inline bool convolves_by_cudnn(const DeviceOptions& options) {
  return options.convolution == "cudnn" || (options.convolution == "auto" && has_cudnn());
}

/// For GPU number `index`. @throws Error if there is no such GPU or it cannot be used.
std::unique_ptr<Device> make_cuda_device(int index, const DeviceOptions& options);

/// A library and the version of it that this process has loaded.
struct LibraryVersion {
  std::string name;
  std::string version;
};

/// CUDA's runtime, the newest CUDA that the driver serves, cuBLAS, cuDNN; nothing without CUDA.
std::vector<LibraryVersion> list_cuda_libraries();

}  // namespace ae
