#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ae::cpu {

/// While it lives, this thread takes denormal floats for zero and makes none. Adam's moments decay
/// towards zero wherever a pixel stays black, and arithmetic on denormals is up to a hundred times
/// slower; the weights do not notice the difference.
class FloatMode {
 public:
#if defined(__x86_64__)
  FloatMode() : saved_(_mm_getcsr()) {
    _mm_setcsr(saved_ | kFlushToZero | kDenormalsAreZero);
  }
  ~FloatMode() {
    _mm_setcsr(saved_);
  }
#elif defined(__aarch64__)
  FloatMode() : saved_(read()) {
    write(saved_ | kFlushToZero);
  }
  ~FloatMode() {
    write(saved_);
  }
#else
  FloatMode() = default;
#endif
  FloatMode(const FloatMode&) = delete;
  FloatMode& operator=(const FloatMode&) = delete;

 private:
#if defined(__x86_64__)
  static constexpr unsigned kFlushToZero = 0x8000U;
  static constexpr unsigned kDenormalsAreZero = 0x0040U;
  unsigned saved_;
#elif defined(__aarch64__)
  static constexpr std::uint64_t kFlushToZero = std::uint64_t{1} << 24U;
  static std::uint64_t read() {
    std::uint64_t value = 0;
    asm volatile("mrs %0, fpcr" : "=r"(value));
    return value;
  }
  static void write(std::uint64_t value) {
    asm volatile("msr fpcr, %0" : : "r"(value));
  }
  std::uint64_t saved_;
#endif
};

}  // namespace ae::cpu
