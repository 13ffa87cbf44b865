// Compiled once for each instruction set, which AE_ISA names: see kernels/cpu/vector.hpp.

#include "activation/prelu_simd.hpp"

#include "formulas/prelu.hpp"

namespace ae::cpu::AE_ISA {

namespace {

void forward(const ConstTile& x, const float* slopes, float* y) {
  for (std::int64_t row = 0; row < x.rows; ++row) {
    const float* in = x.data + row * x.stride;
    float* out = y + row * x.stride;
#pragma omp simd
    for (std::int64_t c = 0; c < x.cols; ++c) out[c] = prelu::value(in[c], slopes[c]);
  }
}

void backward(const ConstTile& x, const float* slopes, const float* dy, float* dx,
              float* column_sums) {
  for (std::int64_t c = 0; c < x.cols; ++c) column_sums[c] = 0.0F;
  for (std::int64_t row = 0; row < x.rows; ++row) {
    const float* in = x.data + row * x.stride;
    const float* gradient = dy + row * x.stride;
#pragma omp simd
    for (std::int64_t c = 0; c < x.cols; ++c) {
      column_sums[c] += prelu::slope_gradient(in[c], gradient[c]);
    }
    if (dx == nullptr) continue;
    float* out = dx + row * x.stride;
#pragma omp simd
    for (std::int64_t c = 0; c < x.cols; ++c) {
      out[c] = prelu::input_gradient(in[c], slopes[c], gradient[c]);
    }
  }
}

}  // namespace

const PreluSimd prelu_simd{forward, backward};

}  // namespace ae::cpu::AE_ISA
