// The k largest values of each row of y (rows, cols) stay, the others become zero; of equal ones
// the first stay.
//
// One block a row, of one warp where the row is narrow. A value's key is its bits in the order of
// floats, with its column below them, counted from the last, so that no two keys of a row are equal
// and exactly k are at or above the k-th largest. That one is found bit by bit from the top: a bit
// of it is one if k keys or more are at or above what that makes. Up to 32 bits and the columns'
// are counted so, each with one barrier; it ends early where a count is k. The row comes from cache
// after the first count.
//
// Traffic: 8 bytes an element, 4 read and 4 written.
// What is read again for every bit is taken to come from cache, and a stored zero for a write.

#include "code/keep_largest.hpp"
#include "common/launch_context.hpp"
#include "formulas/ordering.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

constexpr int kMostThreads = 128;
constexpr int kMostWarps = kMostThreads / 32;
constexpr std::int64_t kNarrow = 256;  // columns

/// The row's keys.
struct Keys {
  const float* row;
  std::int64_t cols;
  int col_bits;  // cols ≤ 2^col_bits

  __device__ std::uint64_t at(std::int64_t col) const {
    const std::uint32_t value = ordered(__builtin_bit_cast(std::uint32_t, row[col]));
    const std::uint64_t last = (std::uint64_t{1} << col_bits) - 1;
    return std::uint64_t{value} << col_bits | (last - static_cast<std::uint64_t>(col));
  }
};

/// How many keys of the row are at or above `bound`, in every thread. Calls take turns with the two
/// rows of `of_warp`: one is not written again before all have read it.
__device__ std::int64_t count_from(const Keys& keys, std::uint64_t bound, unsigned* of_warp) {
  constexpr unsigned kWholeWarp = 0xFFFFFFFFU;
  unsigned count = 0;
  for (std::int64_t c = threadIdx.x; c < keys.cols; c += blockDim.x) {
    count += keys.at(c) >= bound ? 1U : 0U;
  }
  for (unsigned distance = 16; distance > 0; distance /= 2) {
    count += __shfl_xor_sync(kWholeWarp, count, distance);
  }
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = count;
  __syncthreads();
  std::int64_t total = 0;
  for (unsigned warp = 0; warp < blockDim.x / 32; ++warp) total += of_warp[warp];
  return total;
}

__global__ void __launch_bounds__(kMostThreads)
    keep_largest_kernel(std::int64_t k, float* y, std::int64_t cols, int col_bits) {
  AE_SHARED(of_warp, unsigned[2][kMostWarps]);
  float* row = y + std::int64_t{blockIdx.x} * cols;
  const Keys keys{row, cols, col_bits};
  std::uint64_t bound = 0;  // all cols > k keys are at or above it
  for (int bit = 32 + col_bits - 1; bit >= 0; --bit) {
    const std::uint64_t higher = bound | std::uint64_t{1} << bit;
    const std::int64_t count = count_from(keys, higher, of_warp[bit % 2]);
    if (count >= k) bound = higher;
    if (count == k) break;
  }
  for (std::int64_t c = threadIdx.x; c < cols; c += blockDim.x) {
    if (k == 0 || keys.at(c) < bound) row[c] = 0.0F;
  }
}

}  // namespace

void launch(const KeepLargest& op, LaunchContext& context) {
  const std::int64_t cols = op.y.cols;
  if (op.y.rows == 0 || op.k >= cols) return;
  int col_bits = 0;
  while (std::int64_t{1} << col_bits < cols) ++col_bits;
  const LaunchShape shape{dim3(static_cast<unsigned>(op.y.rows)),
                          dim3(cols <= kNarrow ? 32 : kMostThreads)};
  AE_LAUNCH(keep_largest_kernel, shape, context, op.k, op.y.data, cols, col_bits);
}

}  // namespace ae::AE_DEVICE_NAMESPACE
