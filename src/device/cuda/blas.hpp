#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>

#include <cublas_v2.h>

#include "common/launch_context.hpp"
#include "device/cuda/handles.hpp"
#include "device/cuda/memory.hpp"

namespace ae::cuda {

/// As check() for CUDA's own statuses.
void check(cublasStatus_t status, const char* call,
           std::source_location where = std::source_location::current());

/// A product's workspace: what NVIDIA recommends for Hopper, the most any GPU is said to want.
inline constexpr std::size_t kBlasWorkspaceBytes = std::size_t{32} << 20U;

/// How a product in FP32 is computed.
inline cublasComputeType_t compute_type(bool tf32) {
  return tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

/// A cuBLAS handle for one stream. Its workspace is its own and fixed: left to cuBLAS, streams
/// share what it allocates, and the same program may sum in another order the next time.
class Blas {
 public:
  Blas(const Allocation& workspace, cudaStream_t stream, bool tf32);

  void multiply(const Product& product) const;

  [[nodiscard]] cublasHandle_t handle() const { return handle_.get(); }

 private:
  cudaStream_t stream_;
  Owner<cublasHandle_t, cublasDestroy> handle_;
  cublasComputeType_t compute_;
};

}  // namespace ae::cuda
