#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include <cublasLt.h>

#include "common/launch_context.hpp"
#include "device/cuda/blas.hpp"
#include "device/cuda/handles.hpp"
#include "device/cuda/memory.hpp"

namespace ae::cuda {

/// What a product C (m, n) does to its result before it leaves the registers; b and db are (n).
/// A ReLU's mask has a bit for each element of C, set where it is above zero.
struct Epilogue {
  enum class Kind : std::uint8_t {
    none,
    bias,          ///< C + b
    bias_relu,     ///< max(0, C + b), and the mask if there is memory for it
    relu_gradient  ///< C ⊙ mask, and db = its column sums
  };
  Kind kind = Kind::none;
  const float* bias = nullptr;
  float* bias_gradient = nullptr;
  void* mask_out = nullptr;
  const void* mask_in = nullptr;
};

/// Products by cublasLt, on one stream. The algorithm for a shape is the first that its heuristic
/// names, asked for once; so the same program sums in the same order each time it runs.
class BlasLt {
 public:
  BlasLt(const Allocation& workspace, cudaStream_t stream, bool tf32);

  /// The size of the mask of a ReLU with this output.
  [[nodiscard]] static std::size_t mask_bytes(std::int64_t rows, std::int64_t cols);

  /// False if cublasLt has no algorithm for this; then nothing was done.
  [[nodiscard]] bool multiply(const Product& product, const Epilogue& epilogue = {});

 private:
  /// All that an algorithm depends on.
  using Key = std::array<std::int64_t, 12>;

  const Allocation& workspace_;
  cudaStream_t stream_;
  Owner<cublasLtHandle_t, cublasLtDestroy> handle_;
  cublasComputeType_t compute_;
  std::map<Key, std::optional<cublasLtMatmulAlgo_t>> algorithms_;
};

}  // namespace ae::cuda
