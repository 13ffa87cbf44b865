#include <array>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "ae/error.hpp"

#include "device/cpu/vector_kernels.hpp"

namespace ae::cpu {

namespace baseline {
extern const VectorKernels kernels;
}
#if defined(__x86_64__)
namespace avx2 {
extern const VectorKernels kernels;
}
namespace avx512 {
extern const VectorKernels kernels;
}
#endif

std::span<const VectorKernels* const> usable_vector_kernels() {
  static const std::vector<const VectorKernels*> usable = [] {
    std::vector<const VectorKernels*> found;
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool has_avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
    if (has_avx2 && __builtin_cpu_supports("avx512f") != 0 &&
        __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
        __builtin_cpu_supports("avx512bw") != 0) {
      found.push_back(&avx512::kernels);
    }
    if (has_avx2) found.push_back(&avx2::kernels);
#endif
    found.push_back(&baseline::kernels);
    return found;
  }();
  return usable;
}

const VectorKernels& select_vector_kernels() {
  const char* wanted = std::getenv("AE_ISA");  // NOLINT(concurrency-mt-unsafe): read, never written
  if (wanted == nullptr || *wanted == '\0') return *usable_vector_kernels().front();
  std::string known;
  for (const VectorKernels* kernels : usable_vector_kernels()) {
    if (std::string_view(kernels->instruction_set) == wanted) return *kernels;
    known += known.empty() ? "" : ", ";
    known += kernels->instruction_set;
  }
  throw UsageError("AE_ISA is '" + std::string(wanted) +
                   "', which this machine does not have; it has " + known);
}

}  // namespace ae::cpu
