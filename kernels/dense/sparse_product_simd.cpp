// Compiled once for each instruction set, which AE_ISA names: see kernels/cpu/vector.hpp.

#include "dense/sparse_product_simd.hpp"

#include <cstddef>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "cpu/vector.hpp"
#include "dense/transpose_in_vectors.hpp"

namespace ae::cpu::AE_ISA {

namespace {

// Products that skip the zeros of their left operand.
//
// A grey digit is four-fifths black. The rows of x are short lists of (input, value) then, and
// y = Σ value·W[input, :] needs only the rows of W they name, each a contiguous run of `units`.

/// The most inputs that are listed at a time, so that a list fits on the stack.
constexpr std::int64_t kStretch = 1024;

template <std::int64_t kInputs>
struct NonZeros {
  std::int64_t count;
  // Room for one vector more: lists are written a whole vector at a time.
  std::int32_t offset[kInputs + kWidth];  ///< input · units, within the stretch
  float value[kInputs + kWidth];
};

#if defined(__AVX512F__)

template <std::int64_t kInputs>
AE_HOST_DEVICE void find_non_zeros(const float* x, std::int64_t inputs, std::int64_t units,
                                   NonZeros<kInputs>& found) {
  const auto step = static_cast<std::int32_t>(units);
  __m512i offset =
      _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                         _mm512_set1_epi32(step));
  const __m512i advance = _mm512_set1_epi32(16 * step);
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < inputs; i += 16) {
    const std::int64_t left = inputs - i;
    const auto there = static_cast<__mmask16>(left >= 16 ? 0xFFFFU : (1U << left) - 1U);
    const __m512 value = _mm512_maskz_loadu_ps(there, x + i);
    const __mmask16 mask = _mm512_cmp_ps_mask(value, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    _mm512_storeu_ps(found.value + count, _mm512_maskz_compress_ps(mask, value));
    _mm512_storeu_si512(found.offset + count, _mm512_maskz_compress_epi32(mask, offset));
    count += __builtin_popcount(mask);
    offset = _mm512_add_epi32(offset, advance);
  }
  found.count = count;
}

#elif defined(__AVX2__)

/// For each set of lanes, as bits, the permutation that brings these lanes to the front: eight lane
/// numbers of one byte each.
struct CompressTable {
  std::uint64_t lanes[256];

  constexpr CompressTable() : lanes{} {
    for (std::uint64_t set = 0; set < 256; ++set) {
      int place = 0;
      for (std::uint64_t lane = 0; lane < 8; ++lane) {
        if ((set >> lane & 1U) != 0) lanes[set] |= lane << (8 * place++);
      }
    }
  }
};
constexpr CompressTable kCompress;

template <std::int64_t kInputs>
AE_HOST_DEVICE void find_non_zeros(const float* x, std::int64_t inputs, std::int64_t units,
                                   NonZeros<kInputs>& found) {
  const auto step = static_cast<std::int32_t>(units);
  __m256i offset =
      _mm256_mullo_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(step));
  const __m256i advance = _mm256_set1_epi32(8 * step);
  std::int64_t count = 0;
  std::int64_t i = 0;
  for (; i + 8 <= inputs; i += 8) {
    const __m256 value = _mm256_loadu_ps(x + i);
    const auto mask = static_cast<std::uint32_t>(
        _mm256_movemask_ps(_mm256_cmp_ps(value, _mm256_setzero_ps(), _CMP_NEQ_UQ)));
    const __m256i front =
        _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<std::int64_t>(kCompress.lanes[mask])));
    _mm256_storeu_ps(found.value + count, _mm256_permutevar8x32_ps(value, front));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(found.offset + count),
                        _mm256_permutevar8x32_epi32(offset, front));
    count += __builtin_popcount(mask);
    offset = _mm256_add_epi32(offset, advance);
  }
  for (; i < inputs; ++i) {
    found.offset[count] = static_cast<std::int32_t>(i) * step;
    found.value[count] = x[i];
    count += x[i] != 0.0F ? 1 : 0;
  }
  found.count = count;
}

#else

template <std::int64_t kInputs>
AE_HOST_DEVICE void find_non_zeros(const float* x, std::int64_t inputs, std::int64_t units,
                                   NonZeros<kInputs>& found) {
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < inputs;
       ++i) {  // no branch: an entry is overwritten unless it counts
    found.offset[count] = static_cast<std::int32_t>(i * units);
    found.value[count] = x[i];
    count += x[i] != 0.0F ? 1 : 0;
  }
  found.count = count;
}

#endif

/// y[0 … kUnits) = (first ? 0 : y) + Σ value·W[input, 0 … kUnits). Two sets of accumulators, since
/// one set would wait for each multiply-add to finish before the next.
template <std::int64_t kUnits, std::int64_t kInputs>
AE_HOST_DEVICE void accumulate_rows(const NonZeros<kInputs>& x, const float* w, bool first,
                                    float* y) {
  constexpr std::size_t kVectors = kUnits / kWidth;
  Vector even[kVectors];
  Vector odd[kVectors];
  for (std::size_t v = 0; v < kVectors; ++v) {
    even[v] = first ? Vector{} : load(y + v * kWidth);
    odd[v] = Vector{};
  }
  std::int64_t i = 0;
  for (; i + 2 <= x.count; i += 2) {
    const float* w0 = w + x.offset[i];
    const float* w1 = w + x.offset[i + 1];
    for (std::size_t v = 0; v < kVectors; ++v) {
      even[v] += x.value[i] * load(w0 + v * kWidth);
      odd[v] += x.value[i + 1] * load(w1 + v * kWidth);
    }
  }
  if (i < x.count) {
    for (std::size_t v = 0; v < kVectors; ++v) {
      even[v] += x.value[i] * load(w + x.offset[i] + v * kWidth);
    }
  }
  for (std::size_t v = 0; v < kVectors; ++v) store(y + v * kWidth, even[v] + odd[v]);
}

/// Calls body.template operator()<kUnits>(unit) for groups of units that make all of them together,
/// as wide as may be.
template <std::int64_t kWidest, typename Body>
AE_HOST_DEVICE void for_unit_groups(std::int64_t units, const Body& body, std::int64_t unit = 0) {
  for (; unit + kWidest <= units; unit += kWidest) body.template operator()<kWidest>(unit);
  if constexpr (kWidest > kSparseUnits) for_unit_groups<kWidest / 2>(units, body, unit);
}

/// y (+)= x·W, for kRows rows at a time: a tile of W, of kInputs inputs and a group of units, is in
/// the innermost cache while all of them use it.
template <std::int64_t kRows, std::int64_t kInputs>
AE_HOST_DEVICE void multiply(const ConstTile& x, const float* w, std::int64_t units, bool add,
                             float* y) {
  NonZeros<kInputs> non_zeros[static_cast<std::size_t>(kRows)];
  for (std::int64_t row = 0; row < x.rows; row += kRows) {
    const std::int64_t rows = x.rows - row < kRows ? x.rows - row : kRows;
    std::int64_t begin = 0;
    do {  // once even if there are no inputs: y = 0 then
      const std::int64_t inputs = x.cols - begin < kInputs ? x.cols - begin : kInputs;
      for (std::int64_t r = 0; r < rows; ++r) {
        find_non_zeros(x.data + (row + r) * x.stride + begin, inputs, units, non_zeros[r]);
      }
      for_unit_groups<2 * kSparseUnits>(units, [&]<std::int64_t kUnits>(std::int64_t unit) {
        for (std::int64_t r = 0; r < rows; ++r) {
          accumulate_rows<kUnits>(non_zeros[r], w + begin * units + unit, begin == 0 && !add,
                                  y + (row + r) * units + unit);
        }
      });
      begin += kInputs;
    } while (begin < x.cols);
  }
}

void sparse_forward(const ConstTile& x, const float* w, std::int64_t units, float* y) {
  // No wider than a group, W passes by only once.
  if (units <= 2 * kSparseUnits) {
    multiply<1, kStretch>(x, w, units, /*add=*/false, y);
  } else {
    multiply<32, 256>(x, w, units, /*add=*/false, y);
  }
}

/// dW[input, 0 … kUnits) += value·dz[0 … kUnits) for the inputs listed.
template <std::int64_t kUnits>
AE_HOST_DEVICE void scatter_row(const NonZeros<kStretch>& x, const float* dz, float* dw) {
  constexpr std::size_t kVectors = kUnits / kWidth;
  Vector gradient[kVectors];
  for (std::size_t v = 0; v < kVectors; ++v) gradient[v] = load(dz + v * kWidth);
  for (std::int64_t i = 0; i < x.count; ++i) {
    float* out = dw + x.offset[i];
    for (std::size_t v = 0; v < kVectors; ++v) {
      store(out + v * kWidth, load(out + v * kWidth) + x.value[i] * gradient[v]);
    }
  }
}

/// Row by row: dW must be in the innermost cache.
void narrow_weight_gradient(const ConstTile& x, const float* dz, std::int64_t units, float* dw) {
  NonZeros<kStretch> non_zeros;
  for (std::int64_t i = 0; i < x.cols * units; ++i) dw[i] = 0.0F;
  for (std::int64_t begin = 0; begin < x.cols; begin += kStretch) {
    const std::int64_t inputs = x.cols - begin < kStretch ? x.cols - begin : kStretch;
    for (std::int64_t row = 0; row < x.rows; ++row) {
      find_non_zeros(x.data + row * x.stride + begin, inputs, units, non_zeros);
      for_unit_groups<2 * kSparseUnits>(units, [&]<std::int64_t kUnits>(std::int64_t unit) {
        scatter_row<kUnits>(non_zeros, dz + row * units + unit, dw + begin * units + unit);
      });
    }
  }
}

/// Input by input, as the forward product of xᵀ: sums stay in registers.
void wide_weight_gradient(const ConstTile& x, const float* dz, std::int64_t units, float* dw) {
  constexpr std::int64_t kInputs = 16;
  constexpr std::int64_t kRows = 256;
  float transposed[static_cast<std::size_t>(kInputs * kRows)];
  std::int64_t row = 0;
  do {  // once even if there are no rows: dW = 0 then
    const std::int64_t rows = x.rows - row < kRows ? x.rows - row : kRows;
    for (std::int64_t input = 0; input < x.cols; input += kInputs) {
      const std::int64_t inputs = x.cols - input < kInputs ? x.cols - input : kInputs;
      transpose_in_vectors<false>({x.data + row * x.stride + input, rows, inputs, x.stride},
                                  transposed, kRows);
      multiply<kInputs, kRows>({transposed, inputs, rows, kRows}, dz + row * units, units,
                               /*add=*/row > 0, dw + input * units);
    }
    row += kRows;
  } while (row < x.rows);
}

void sparse_weight_gradient(const ConstTile& x, const float* dz, std::int64_t units, float* dw) {
  constexpr std::int64_t kWide = 256;
  if (units < kWide) {
    narrow_weight_gradient(x, dz, units, dw);
  } else {
    wide_weight_gradient(x, dz, units, dw);
  }
}

}  // namespace

const SparseProductSimd sparse_product_simd{sparse_forward, sparse_weight_gradient};

}  // namespace ae::cpu::AE_ISA
