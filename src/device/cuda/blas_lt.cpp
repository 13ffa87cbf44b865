#include "device/cuda/blas_lt.hpp"

#include <algorithm>
#include <cstdint>

namespace ae::cuda {

namespace {

using Description = Owner<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Owner<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owner<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

template <typename Value>
void set(const Description& description, cublasLtMatmulDescAttributes_t attribute, Value value) {
  check(cublasLtMatmulDescSetAttribute(description.get(), attribute, &value, sizeof(value)),
        "cublasLtMatmulDescSetAttribute");
}

template <typename Value>
void set(const Preference& preference, cublasLtMatmulPreferenceAttributes_t attribute,
         Value value) {
  check(cublasLtMatmulPreferenceSetAttribute(preference.get(), attribute, &value, sizeof(value)),
        "cublasLtMatmulPreferenceSetAttribute");
}

/// A row-major (rows, cols) matrix, which cublasLt sees as its column-major transpose.
Layout layout(std::int64_t rows, std::int64_t cols) {
  Layout made;
  check(cublasLtMatrixLayoutCreate(made.out(), CUDA_R_32F, static_cast<std::uint64_t>(cols),
                                   static_cast<std::uint64_t>(rows), cols),
        "cublasLtMatrixLayoutCreate");
  return made;
}

/// The alignment of an address in bytes, as far as algorithms care for it.
std::uint32_t alignment(const void* address) {
  constexpr std::uintptr_t kMost = 256;
  const auto value = reinterpret_cast<std::uintptr_t>(address);
  return static_cast<std::uint32_t>(std::min(value & (~value + 1), kMost));
}

/// A mask's rows are whole groups of 128 bits.
std::int64_t mask_row_bits(std::int64_t cols) {
  return (cols + 127) / 128 * 128;
}

void describe(const Description& description, const Epilogue& epilogue, std::int64_t cols) {
  const auto set_kind = [&](cublasLtEpilogue_t kind) {
    set(description, CUBLASLT_MATMUL_DESC_EPILOGUE, kind);
  };
  const auto set_mask = [&](const void* mask) {
    set(description, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, mask);
    set(description, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, mask_row_bits(cols));
  };
  switch (epilogue.kind) {
    case Epilogue::Kind::none:
      return;
    case Epilogue::Kind::bias:
      set_kind(CUBLASLT_EPILOGUE_BIAS);
      set(description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, epilogue.bias);
      return;
    case Epilogue::Kind::bias_relu:
      set_kind(epilogue.mask_out != nullptr ? CUBLASLT_EPILOGUE_RELU_AUX_BIAS
                                            : CUBLASLT_EPILOGUE_RELU_BIAS);
      set(description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, epilogue.bias);
      if (epilogue.mask_out != nullptr) set_mask(epilogue.mask_out);
      return;
    case Epilogue::Kind::relu_gradient:
      set_kind(CUBLASLT_EPILOGUE_DRELU_BGRAD);
      set(description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, epilogue.bias_gradient);
      set_mask(epilogue.mask_in);
      return;
  }
}

}  // namespace

BlasLt::BlasLt(const Allocation& workspace, cudaStream_t stream, bool tf32)
    : workspace_(workspace), stream_(stream), compute_(compute_type(tf32)) {
  check(cublasLtCreate(handle_.out()), "cublasLtCreate");
}

std::size_t BlasLt::mask_bytes(std::int64_t rows, std::int64_t cols) {
  return static_cast<std::size_t>(rows * mask_row_bits(cols) / 8);
}

bool BlasLt::multiply(const Product& product, const Epilogue& epilogue) {
  const auto& [transpose_a, transpose_b, m, n, k, a, b, c] = product;
  if (m == 0 || n == 0 || k == 0) return false;

  // As in Blas: the transpose of the row-major product, so its operands change places.
  Description description;
  check(cublasLtMatmulDescCreate(description.out(), compute_, CUDA_R_32F),
        "cublasLtMatmulDescCreate");
  set(description, CUBLASLT_MATMUL_DESC_TRANSA, transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(description, CUBLASLT_MATMUL_DESC_TRANSB, transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  describe(description, epilogue, n);
  const Layout first = transpose_b ? layout(n, k) : layout(k, n);
  const Layout second = transpose_a ? layout(k, m) : layout(m, k);
  const Layout result = layout(m, n);

  const Key key{transpose_a ? 1 : 0,
                transpose_b ? 1 : 0,
                m,
                n,
                k,
                static_cast<std::int64_t>(epilogue.kind),
                epilogue.mask_out != nullptr ? 1 : 0,
                alignment(a),
                alignment(b),
                alignment(c),
                alignment(epilogue.bias),
                alignment(epilogue.bias_gradient)};
  auto known = algorithms_.find(key);
  if (known == algorithms_.end()) {
    Preference preference;
    check(cublasLtMatmulPreferenceCreate(preference.out()), "cublasLtMatmulPreferenceCreate");
    set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_.bytes());
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(b));
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(a));
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(c));
    set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment(c));
    cublasLtMatmulHeuristicResult_t best{};
    int found = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
        handle_.get(), description.get(), first.get(), second.get(), result.get(), result.get(),
        preference.get(), 1, &best, &found);
    std::optional<cublasLtMatmulAlgo_t> algorithm;
    if (status != CUBLAS_STATUS_NOT_SUPPORTED) {
      check(status, "cublasLtMatmulAlgoGetHeuristic");
      if (found > 0 && best.state == CUBLAS_STATUS_SUCCESS) algorithm = best.algo;
    }
    known = algorithms_.emplace(key, algorithm).first;
  }
  if (!known->second) return false;

  const float one = 1;
  const float zero = 0;
  check(cublasLtMatmul(handle_.get(), description.get(), &one, b, first.get(), a, second.get(),
                       &zero, c, result.get(), c, result.get(), &*known->second, workspace_.data(),
                       workspace_.bytes(), stream_),
        "cublasLtMatmul");
  return true;
}

}  // namespace ae::cuda
