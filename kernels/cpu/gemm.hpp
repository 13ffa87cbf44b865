#pragma once

#include <cstdint>
#include <string>

namespace ae::cpu {

enum class Transposed : std::uint8_t { no, yes };

/// C = op(A)·op(B) by oneDNN, on the calling thread alone. op(A) is (m, k), op(B) (k, n), C (m, n),
/// all row-major with `ld*` floats from row to row. With k = 0, C becomes zero. The thread must not
/// take a signal meanwhile: the caller has a BlockedSignals.
void gemm(Transposed transpose_a, Transposed transpose_b, std::int64_t m, std::int64_t n,
          std::int64_t k, const float* a, std::int64_t lda, const float* b, std::int64_t ldb,
          float* c, std::int64_t ldc);

/// While it lives, oneDNN computes on the calling thread alone. We divide the work ourselves: a
/// GEMM that were split by the number of threads would sum in another order for each number.
class SingleThreadedGemm {
 public:
  SingleThreadedGemm();
  ~SingleThreadedGemm();
  SingleThreadedGemm(const SingleThreadedGemm&) = delete;
  SingleThreadedGemm& operator=(const SingleThreadedGemm&) = delete;

 private:
  int saved_threads_;
};

/// "2.6.3", of the library that is loaded.
std::string gemm_library_version();

}  // namespace ae::cpu
