#pragma once

#include <memory>
#include <vector>

#include "ae/device.hpp"

#include "backend/backend.hpp"

/// The boundary to CUDA: no CUDA header comes through here. A build without CUDA has these two
/// functions from without_cuda.cpp.
namespace ae {

/// "cuda:0", "cuda:1", …, or one unusable "cuda" that says what is missing.
std::vector<DeviceInfo> list_cuda_devices();

/// For GPU number `index`. @throws Error if there is no such GPU or it cannot be used.
std::unique_ptr<Backend> make_cuda_backend(int index, const DeviceOptions& options);

}  // namespace ae
