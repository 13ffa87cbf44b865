#include "cpu/instruction_set.hpp"

#include <cstdlib>
#include <string>
#include <vector>

#include "ae/error.hpp"

namespace ae::cpu {

#if defined(__x86_64__)
namespace {

/// GCC answers with an int, Clang with a bool.
template <typename Answer>
bool supports(Answer answer) {
  return static_cast<bool>(answer);
}

}  // namespace
#endif

std::string_view to_string(InstructionSet set) {
  switch (set) {
    case InstructionSet::avx512:
      return "avx512";
    case InstructionSet::avx2:
      return "avx2";
    case InstructionSet::baseline:
      break;
  }
  return "baseline";
}

std::span<const InstructionSet> usable_instruction_sets() {
  static const std::vector<InstructionSet> usable = [] {
    std::vector<InstructionSet> found;
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool has_avx2 =
        supports(__builtin_cpu_supports("avx2")) && supports(__builtin_cpu_supports("fma"));
    if (has_avx2 && supports(__builtin_cpu_supports("avx512f")) &&
        supports(__builtin_cpu_supports("avx512vl")) &&
        supports(__builtin_cpu_supports("avx512dq")) &&
        supports(__builtin_cpu_supports("avx512bw"))) {
      found.push_back(InstructionSet::avx512);
    }
    if (has_avx2) found.push_back(InstructionSet::avx2);
#endif
    found.push_back(InstructionSet::baseline);
    return found;
  }();
  return usable;
}

InstructionSet select_instruction_set() {
  const char* wanted = std::getenv("AE_ISA");  // NOLINT(concurrency-mt-unsafe): read, never written
  if (wanted == nullptr || *wanted == '\0') return usable_instruction_sets().front();
  std::string known;
  for (const InstructionSet set : usable_instruction_sets()) {
    if (to_string(set) == wanted) return set;
    known += known.empty() ? "" : ", ";
    known += to_string(set);
  }
  throw UsageError("AE_ISA is '" + std::string(wanted) +
                   "', which this machine does not have; it has " + known);
}

}  // namespace ae::cpu
