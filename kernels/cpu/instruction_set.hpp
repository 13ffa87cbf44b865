#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace ae::cpu {

/// What vector code is compiled for. The numbers that it computes depend on this.
enum class InstructionSet : std::uint8_t { baseline, avx2, avx512 };

std::string_view to_string(InstructionSet set);

/// Every instruction set that this machine can run, best first; never empty.
std::span<const InstructionSet> usable_instruction_sets();

/// The best one, or the one that the environment variable AE_ISA names ("baseline", "avx2",
/// "avx512"). @throws UsageError if AE_ISA names one that this machine or build lacks.
InstructionSet select_instruction_set();

}  // namespace ae::cpu

/// Declares a table of functions that a file *_simd.cpp defines, which is compiled once for each
/// instruction set: `name(set)` is the table for that one.
#if defined(__x86_64__)
#define AE_SIMD(Table, name)                               \
  namespace baseline {                                     \
  extern const Table name;                                 \
  }                                                        \
  namespace avx2 {                                         \
  extern const Table name;                                 \
  }                                                        \
  namespace avx512 {                                       \
  extern const Table name;                                 \
  }                                                        \
  inline const Table& name(InstructionSet set) {           \
    return set == InstructionSet::avx512 ? avx512::name    \
           : set == InstructionSet::avx2 ? avx2::name      \
                                         : baseline::name; \
  }
#else
#define AE_SIMD(Table, name)                         \
  namespace baseline {                               \
  extern const Table name;                           \
  }                                                  \
  inline const Table& name(InstructionSet /*set*/) { \
    return baseline::name;                           \
  }
#endif
