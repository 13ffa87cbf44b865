#pragma once

#include <cstdint>
#include <source_location>

#include <cudnn.h>

#include "ae/activation.hpp"

#include "device/cuda/handles.hpp"

namespace ae::cuda {

/// As check() for CUDA's own statuses.
void check(cudnnStatus_t status, const char* call,
           std::source_location where = std::source_location::current());

/// cuDNN on one stream: what it has for dense layers, each operation by itself. Training uses cuDNN
/// for convolutions alone (dnn_convolution.hpp) and none of this; tests take it as a second opinion
/// on our kernels, the benchmark times it beside them. Matrices are row-major (rows, cols), neither
/// of them 0.
class Dnn {
 public:
  explicit Dnn(cudaStream_t stream);

  /// y += bias, row by row.
  void add_bias(const float* bias, float* y, std::int64_t rows, std::int64_t cols) const;
  /// y = f(y).
  void activate(Activation activation, float* y, std::int64_t rows, std::int64_t cols) const;
  /// dx = dx ⊙ f'(z), given y = f(z).
  void activation_gradient(Activation activation, const float* y, float* dx, std::int64_t rows,
                           std::int64_t cols) const;
  /// sums[c] = Σ over rows of matrix[:, c].
  void column_sums(const float* matrix, std::int64_t rows, std::int64_t cols, float* sums) const;

 private:
  Owner<cudnnHandle_t, cudnnDestroy> handle_;
};

}  // namespace ae::cuda
