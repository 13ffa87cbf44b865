#pragma once

#include <source_location>
#include <string>

#include <cuda_runtime_api.h>

namespace ae::cuda {

/// Throws ae::Error unless `status` is success: what was called, CUDA's name and words for what
/// went wrong, what to do about it, and where in the source it was. Clears the runtime's last
/// error.
void check(cudaError_t status, const char* call,
           std::source_location where = std::source_location::current());

/// "blas.cpp:52", for messages.
std::string to_string(const std::source_location& where);

}  // namespace ae::cuda
