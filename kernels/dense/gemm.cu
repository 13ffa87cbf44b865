// C = op(A)·op(B), row-major; op(A) (m, k), op(B) (k, n), C (m, n).
//
// The textbook tiled product: a block makes a 64x64 tile of C from slices of 16 along k that it
// brings to shared memory; each of its 16x16 threads keeps 4x4 elements of C in registers. Every
// element of C is summed by one thread in the order of k. cuBLAS is faster; this one runs where
// cuBLAS is not, and judges it where it is.
//
// Traffic: k/8 + 4 bytes an element of C, 2 read for each 16 of k and 4 written.
// In whole tiles; that blocks share rows of op(A) and columns of op(B), which may then come from
// cache, is left out.

#include "dense/gemm.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

namespace {

constexpr int kTile = 64;
constexpr int kSlice = 16;
constexpr int kThreads = 16;                          // along each side of a block
constexpr int kEach = kTile / kThreads;               // elements of C along each side, a thread
constexpr int kAtOnce = kThreads * kThreads / kTile;  // indices of k that a block brings at once
static_assert(kAtOnce * kTile == kThreads * kThreads);

/// A matrix read as op(M): element (i, j) lies at i·row_stride + j·col_stride.
struct Operand {
  const float* data;
  std::int64_t rows;
  std::int64_t cols;
  std::int64_t row_stride;
  std::int64_t col_stride;
};

__device__ float element_or_zero(const Operand& operand, std::int64_t row, std::int64_t col) {
  if (row >= operand.rows || col >= operand.cols) return 0.0F;
  return operand.data[row * operand.row_stride + col * operand.col_stride];
}

__global__ void __launch_bounds__(kThreads* kThreads) gemm_kernel(Operand a, Operand b, float* c) {
  AE_SHARED(a_slice, float[kSlice][kTile]);
  AE_SHARED(b_slice, float[kSlice][kTile]);
  const int thread_row = static_cast<int>(threadIdx.y);
  const int thread_col = static_cast<int>(threadIdx.x);
  const int thread = thread_row * kThreads + thread_col;
  // A thread stays with one row of op(A) and one column of op(B): so few addresses that the
  // compiler need not spill.
  const int place = thread % kTile;
  const int first_slice = thread / kTile;
  const std::int64_t first_row = std::int64_t{blockIdx.y} * kTile;
  const std::int64_t first_col = std::int64_t{blockIdx.x} * kTile;

  float sum[kEach][kEach] = {};
  for (std::int64_t first_k = 0; first_k < a.cols; first_k += kSlice) {
    for (int slice = first_slice; slice < kSlice; slice += kAtOnce) {
      a_slice[slice][place] = element_or_zero(a, first_row + place, first_k + slice);
      b_slice[slice][place] = element_or_zero(b, first_k + slice, first_col + place);
    }
    __syncthreads();
    for (int slice = 0; slice < kSlice; ++slice) {
      float a_part[kEach];
      float b_part[kEach];
      for (int i = 0; i < kEach; ++i) {
        a_part[i] = a_slice[slice][thread_row + i * kThreads];
        b_part[i] = b_slice[slice][thread_col + i * kThreads];
      }
      for (int i = 0; i < kEach; ++i) {
        for (int j = 0; j < kEach; ++j) sum[i][j] += a_part[i] * b_part[j];
      }
    }
    __syncthreads();
  }
  for (int i = 0; i < kEach; ++i) {
    for (int j = 0; j < kEach; ++j) {
      const std::int64_t row = first_row + thread_row + i * kThreads;
      const std::int64_t col = first_col + thread_col + j * kThreads;
      if (row < a.rows && col < b.cols) c[row * b.cols + col] = sum[i][j];
    }
  }
}

Operand operand(const float* data, std::int64_t rows, std::int64_t cols, bool transpose) {
  return transpose ? Operand{data, rows, cols, 1, rows} : Operand{data, rows, cols, cols, 1};
}

unsigned tiles(std::int64_t size) {
  return static_cast<unsigned>((size + kTile - 1) / kTile);
}

}  // namespace

void gemm(const Product& product, LaunchContext& context) {
  const auto& [transpose_a, transpose_b, m, n, k, a, b, c] = product;
  if (m == 0 || n == 0) return;
  const LaunchShape shape{dim3(tiles(n), tiles(m)), dim3(kThreads, kThreads)};
  AE_LAUNCH(gemm_kernel, shape, context, operand(a, m, k, transpose_a),
            operand(b, k, n, transpose_b), c);
}

void LaunchContext::multiply(const Product& product) {
  gemm(product, *this);
}

}  // namespace ae::AE_DEVICE_NAMESPACE
