#include "device/cuda/blas.hpp"

#include <limits>
#include <string_view>

#include <fmt/format.h>

#include "ae/error.hpp"

namespace ae::cuda {

namespace {

int extent(std::int64_t value) {
  if (value > std::numeric_limits<int>::max()) {
    throw Error(
        fmt::format("a product has an extent of {}, cuBLAS takes at most {}, use a smaller "
                    "layer or batch",
                    value, std::numeric_limits<int>::max()));
  }
  return static_cast<int>(value);
}

}  // namespace

void check(cublasStatus_t status, const char* call, std::source_location where) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  static_cast<void>(cudaGetLastError());
  const std::string_view advice =
      status == CUBLAS_STATUS_ALLOC_FAILED
          ? "free memory on the GPU, or train a smaller model or batch"
          : "see that CUDA's libraries fit the driver (ae info lists both), or use --device cpu";
  throw Error(fmt::format("{} failed on the GPU, {}: {} ({}), {}", call,
                          cublasGetStatusName(status), cublasGetStatusString(status),
                          to_string(where), advice));
}

Blas::Blas(const Allocation& workspace, cudaStream_t stream, bool tf32)
    : stream_(stream), compute_(compute_type(tf32)) {
  check(cublasCreate(handle_.out()), "cublasCreate");
  check(cublasSetStream(handle_.get(), stream), "cublasSetStream");
  // Setting the stream resets the workspace, so it comes after.
  check(cublasSetWorkspace(handle_.get(), workspace.data(), workspace.bytes()),
        "cublasSetWorkspace");
}

void Blas::multiply(const Product& product) const {
  const auto& [transpose_a, transpose_b, m, n, k, a, b, c] = product;
  if (m == 0 || n == 0) return;
  if (k == 0) {
    check(cudaMemsetAsync(c, 0, static_cast<std::size_t>(m * n) * sizeof(float), stream_),
          "cudaMemsetAsync");
    return;
  }
  // cuBLAS reads memory column by column, where a row-major C is Cᵀ = op(B)ᵀ·op(A)ᵀ.
  const float one = 1;
  const float zero = 0;
  check(cublasGemmEx(handle_.get(), transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                     transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, extent(n), extent(m), extent(k), &one,
                     b, CUDA_R_32F, extent(transpose_b ? k : n), a, CUDA_R_32F,
                     extent(transpose_a ? m : k), &zero, c, CUDA_R_32F, extent(n), compute_,
                     CUBLAS_GEMM_DEFAULT),
        "cublasGemmEx");
}

}  // namespace ae::cuda
