#pragma once

#include <cstddef>
#include <source_location>

#include <cublas_v2.h>

#include "backend/cuda/handles.hpp"
#include "backend/cuda/memory.hpp"
#include "backend/kernel/kernel_backend.hpp"

namespace ae::cuda {

/// As check() for CUDA's own statuses.
void check(cublasStatus_t status, const char* call,
           std::source_location where = std::source_location::current());

/// A cuBLAS handle for one stream. Its workspace is its own and fixed: left to cuBLAS, streams
/// share what it allocates, and the same program may sum in another order the next time.
class Blas {
 public:
  Blas(Memory& memory, cudaStream_t stream, bool tf32);
  ~Blas();
  Blas(const Blas&) = delete;
  Blas& operator=(const Blas&) = delete;

  void multiply(const Product& product);

 private:
  Memory& memory_;
  cudaStream_t stream_;
  Owner<cublasHandle_t, cublasDestroy> handle_;
  void* workspace_ = nullptr;
  cublasComputeType_t compute_;
};

}  // namespace ae::cuda
