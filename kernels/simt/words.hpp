#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

/// The words of CUDA C++ for the host compiler: what kernels use of them, executed by the emulated
/// device. Words that CUDA has and this does not are a fault by name, or do not compile; none is
/// silently ignored.

#define __global__
#define __device__
#define __launch_bounds__(...)

namespace ae::simt {

struct uint3 {
  unsigned x, y, z;
};

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): as in CUDA
  constexpr dim3(unsigned x_, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

// What a running kernel's thread is; a fault elsewhere.
uint3 current_thread();
uint3 current_block();
dim3 current_block_extent();
dim3 current_grid_extent();
#define threadIdx (::ae::simt::current_thread())
#define blockIdx (::ae::simt::current_block())
#define blockDim (::ae::simt::current_block_extent())
#define gridDim (::ae::simt::current_grid_extent())

/// Waits for all threads of the block. Which barrier it is, is told by its place in the source.
void __syncthreads(const char* file = __builtin_FILE(), int line = __builtin_LINE());

/// Waits for the lanes that `mask` names.
void __syncwarp(unsigned mask = 0xFFFFFFFFU, const char* file = __builtin_FILE(),
                int line = __builtin_LINE());

/// Hands `bits` to the warp and returns those of lane `source`; all lanes of `mask` take part.
std::uint64_t exchange_in_warp(unsigned mask, std::uint64_t bits, unsigned source, const char* file,
                               int line);
unsigned current_lane();

template <typename T>
T shuffle(unsigned mask, T value, unsigned source, const char* file, int line) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(std::uint64_t));
  std::uint64_t bits = 0;
  __builtin_memcpy(&bits, &value, sizeof(T));
  bits = exchange_in_warp(mask, bits, source, file, line);
  __builtin_memcpy(&value, &bits, sizeof(T));
  return value;
}

/// From lane + delta; past the end of the warp, a lane gets its own value back.
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, const char* file = __builtin_FILE(),
                   int line = __builtin_LINE()) {
  const unsigned source = current_lane() + delta;
  return shuffle(mask, value, source < 32 ? source : current_lane(), file, line);
}

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, unsigned lane_mask, const char* file = __builtin_FILE(),
                  int line = __builtin_LINE()) {
  return shuffle(mask, value, (current_lane() ^ lane_mask) % 32, file, line);
}

/// Blocks run one after the other here, so that what they wrote is always visible.
inline void __threadfence() {}

/// Faults unless this thread may touch the bytes as an atomic operation does: read and write.
void touch_atomically(const void* address, std::size_t bytes);

/// Memory of the device, from code whose accesses are judged: here they already were.
void copy_unchecked(void* to, const void* from, std::size_t bytes);

template <typename T>
T atomicAdd(T* address, T value) {
  static_assert(!std::is_floating_point_v<T>,
                "float atomics add in no fixed order: the same input would not give the same bits");
  touch_atomically(address, sizeof(T));
  T old;
  copy_unchecked(&old, address, sizeof(T));
  const T sum = old + value;
  copy_unchecked(address, &sum, sizeof(T));
  return old;
}

/// Ends the kernel with a fault that names the word.
[[noreturn]] void not_emulated(const char* word);

// Words that are not emulated yet. To add one, write it above, and a test that sees it work.
template <typename... T>
unsigned __ballot_sync(T...) {
  not_emulated("__ballot_sync");
}
template <typename... T>
int __any_sync(T...) {
  not_emulated("__any_sync");
}
template <typename... T>
int __all_sync(T...) {
  not_emulated("__all_sync");
}
template <typename... T>
unsigned __activemask(T...) {
  not_emulated("__activemask");
}
template <typename M, typename T, typename... R>
T __shfl_sync(M, T, R...) {
  not_emulated("__shfl_sync");
}
template <typename M, typename T, typename... R>
T __shfl_up_sync(M, T, R...) {
  not_emulated("__shfl_up_sync");
}
template <typename T, typename... R>
T atomicCAS(T*, R...) {
  not_emulated("atomicCAS");
}
template <typename T, typename... R>
T atomicExch(T*, R...) {
  not_emulated("atomicExch");
}
template <typename T, typename... R>
T atomicMax(T*, R...) {
  not_emulated("atomicMax");
}
template <typename T, typename... R>
T atomicMin(T*, R...) {
  not_emulated("atomicMin");
}
template <typename T>
T __ldg(const T*) {
  not_emulated("__ldg");
}
template <typename... T>
void __threadfence_block(T...) {
  not_emulated("__threadfence_block");
}
template <typename... T>
void __nanosleep(T...) {
  not_emulated("__nanosleep");
}

}  // namespace ae::simt
