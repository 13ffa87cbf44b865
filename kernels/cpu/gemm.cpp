#include "cpu/gemm.hpp"

#include <algorithm>
#include <string>

#include <dnnl.h>
#include <omp.h>

#include "ae/error.hpp"

namespace ae::cpu {

void gemm(Transposed transpose_a, Transposed transpose_b, std::int64_t m, std::int64_t n,
          std::int64_t k, const float* a, std::int64_t lda, const float* b, std::int64_t ldb,
          float* c, std::int64_t ldc) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    for (std::int64_t row = 0; row < m; ++row) std::fill_n(c + row * ldc, n, 0.0F);
    return;
  }
  const auto code = [](Transposed transposed) { return transposed == Transposed::yes ? 'T' : 'N'; };
  const dnnl_status_t status =
      dnnl_sgemm(code(transpose_a), code(transpose_b), m, n, k, 1.0F, a, lda, b, ldb, 0.0F, c, ldc);
  if (status == dnnl_out_of_memory) {
    throw Error("out of memory, in oneDNN's sgemm, use a smaller batch or model");
  }
  if (status != dnnl_success) {
    throw Error("oneDNN's sgemm failed with status " + std::to_string(status) + " for a " +
                std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) +
                " product, please report this");
  }
}

SingleThreadedGemm::SingleThreadedGemm() : saved_threads_(omp_get_max_threads()) {
  omp_set_num_threads(1);
}

SingleThreadedGemm::~SingleThreadedGemm() {
  omp_set_num_threads(saved_threads_);
}

std::string gemm_library_version() {
  const dnnl_version_t* version = dnnl_version();
  return std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
         std::to_string(version->patch);
}

}  // namespace ae::cpu
