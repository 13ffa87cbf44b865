// Compiled several times, each with the compiler flags of one instruction set and AE_ISA naming it.
// Nothing but always-inlined formulas may be used from here: an ordinary inline function would be
// shared with the rest of the program, and the linker might keep the copy that needs AVX-512.

#include "backend/cpu/vector_kernels.hpp"

#include <cstddef>
#include <cstring>

#include "activations.hpp"
#include "losses.hpp"
#include "math.hpp"
#include "optimizers.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define AE_TEXT_OF(name) #name
#define AE_TEXT(name) AE_TEXT_OF(name)

namespace ae::cpu::AE_ISA {

namespace {

void convert_bytes(const std::uint8_t* from, float* to, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]) / 255.0F;
}

template <typename Formula>
void bias_activation(const float* bias, const Tile& y, float* z) {
  for (std::int64_t row = 0; row < y.rows; ++row) {
    float* out = y.data + row * y.stride;
    if (bias != nullptr) {
#pragma omp simd
      for (std::int64_t c = 0; c < y.cols; ++c) out[c] += bias[c];
    }
    if constexpr (Formula::kSlopeFromInput) {
      if (z != nullptr)
        std::memcpy(z + row * y.stride, out, static_cast<std::size_t>(y.cols) * sizeof(float));
    }
#pragma omp simd
    for (std::int64_t c = 0; c < y.cols; ++c) out[c] = Formula::value(out[c]);
  }
}

void bias_activation(Activation activation, const float* bias, const Tile& y, float* z) {
  for_activation(activation, [&]<typename Formula>() { bias_activation<Formula>(bias, y, z); });
}

template <typename Formula>
void activation_gradient(const ConstTile& saved, const Tile& dx, float* column_sums) {
  for (std::int64_t c = 0; c < dx.cols; ++c) column_sums[c] = 0.0F;
  for (std::int64_t row = 0; row < dx.rows; ++row) {
    const float* from = saved.data + row * saved.stride;
    float* gradient = dx.data + row * dx.stride;
#pragma omp simd
    for (std::int64_t c = 0; c < dx.cols; ++c) {
      const float g = gradient[c] * Formula::slope(from[c]);
      gradient[c] = g;
      column_sums[c] += g;
    }
  }
}

void activation_gradient(Activation activation, const ConstTile& saved, const Tile& dx,
                         float* column_sums) {
  for_activation(activation,
                 [&]<typename Formula>() { activation_gradient<Formula>(saved, dx, column_sums); });
}

/// Columns of a row that go through both parts of a loss formula together.
constexpr std::int64_t kLossStretch = 128;

template <bool kGradient, typename Formula>
void loss(const Formula& formula, const LossTile& tile, double* row_losses) {
  const std::int64_t cols = tile.z.cols;
  const float scale = tile.gradient_scale;
  if constexpr (kGradient) {
    for (std::int64_t c = 0; c < cols; ++c) tile.column_sums[c] = 0.0F;
  }
  for (std::int64_t row = 0; row < tile.z.rows; ++row) {
    float row_loss = 0.0F;
    for (std::int64_t begin = 0; begin < cols; begin += kLossStretch) {
      const std::int64_t count = cols - begin < kLossStretch ? cols - begin : kLossStretch;
      const float* z = tile.z.data + row * tile.z.stride + begin;
      const float* bias = tile.bias + begin;
      const float* target = tile.target + row * cols + begin;
      float prepared[kLossStretch];
#pragma omp simd
      for (std::int64_t i = 0; i < count; ++i) prepared[i] = formula.prepare(z[i] + bias[i]);
      if constexpr (kGradient) {
        float* dz = tile.dz + row * tile.z.stride + begin;
        float* sums = tile.column_sums + begin;
#pragma omp simd reduction(+ : row_loss)
        for (std::int64_t i = 0; i < count; ++i) {
          const losses::LossAndGradient here = formula.at(z[i] + bias[i], prepared[i], target[i]);
          const float gradient = scale * here.gradient;
          row_loss += here.loss;
          dz[i] = gradient;
          sums[i] += gradient;
        }
      } else {
#pragma omp simd reduction(+ : row_loss)
        for (std::int64_t i = 0; i < count; ++i) {
          row_loss += formula.at(z[i] + bias[i], prepared[i], target[i]).loss;
        }
      }
    }
    row_losses[row] = static_cast<double>(row_loss);
  }
}

void loss(const LossTile& tile, double* row_losses) {
  for_activation(tile.activation, [&]<typename Output>() {
    losses::for_loss(tile.loss, Output{}, [&](const auto& formula) {
      if (tile.dz != nullptr) {
        loss<true>(formula, tile, row_losses);
      } else {
        loss<false>(formula, tile, row_losses);
      }
    });
  });
}

double sum_of_squares(const float* values, std::int64_t count) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < count; ++i) {
    const auto value = static_cast<double>(values[i]);
    sum += value * value;
  }
  return sum;
}

template <typename Rule, bool kScaled, bool kAveraged>
void optimize(const OptimizerStretch& stretch) {
  // Copies: the stores below cannot alias them.
  const optimizers::StepRates rates = stretch.rates;
  const std::int64_t count = stretch.count;
  float* parameters = stretch.parameters;
  const float* gradients = stretch.gradients;
  float* first = stretch.first;
  float* second = stretch.second;
  float* average = stretch.average;
  const float average_decay = stretch.average_decay;
  float scale = 1.0F;
  if constexpr (kScaled) scale = *stretch.gradient_scale;
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    float first_state = 0.0F;
    float second_state = 0.0F;
    if constexpr (Rule::kStates > 0) first_state = first[i];
    if constexpr (Rule::kStates > 1) second_state = second[i];
    float gradient = gradients[i];
    if constexpr (kScaled) gradient *= scale;
    const float moved = Rule::updated(parameters[i], gradient, first_state, second_state, rates);
    parameters[i] = moved;
    if constexpr (Rule::kStates > 0) first[i] = first_state;
    if constexpr (Rule::kStates > 1) second[i] = second_state;
    if constexpr (kAveraged) average[i] = optimizers::averaged(average[i], moved, average_decay);
  }
}

void optimize(const OptimizerStretch& stretch) {
  const bool is_scaled = stretch.gradient_scale != nullptr;
  const bool is_averaged = stretch.average != nullptr;
  for_optimizer(stretch.optimizer, [&]<typename Rule>() {
    if (is_scaled && is_averaged) {
      optimize<Rule, true, true>(stretch);
    } else if (is_scaled) {
      optimize<Rule, true, false>(stretch);
    } else if (is_averaged) {
      optimize<Rule, false, true>(stretch);
    } else {
      optimize<Rule, false, false>(stretch);
    }
  });
}

// ── Products that skip the zeros of their left operand ──────────────────────────────────────────
//
// A grey digit is four-fifths black. The rows of x are short lists of (input, value) then, and
// y = Σ value·W[input, :] needs only the rows of W they name, each a contiguous run of `units`.

/// As wide as the instruction set's registers.
constexpr std::size_t kWidth = AE_VECTOR_BYTES / sizeof(float);
using Vector = float __attribute__((vector_size(AE_VECTOR_BYTES)));

AE_HOST_DEVICE Vector load(const float* from) {
  Vector value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

AE_HOST_DEVICE void store(float* to, Vector value) {
  std::memcpy(to, &value, sizeof(value));
}

/// Inputs are taken in stretches of this many, so that a list fits on the stack.
constexpr std::int64_t kStretch = 1024;

struct NonZeros {
  std::int64_t count;
  // Room for one vector more: lists are written a whole vector at a time.
  std::int32_t offset[kStretch + kWidth];  ///< input · units, within the stretch
  float value[kStretch + kWidth];
};

#if defined(__AVX512F__)

AE_HOST_DEVICE void find_non_zeros(const float* x, std::int64_t inputs, std::int64_t units,
                                   NonZeros& found) {
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

AE_HOST_DEVICE void find_non_zeros(const float* x, std::int64_t inputs, std::int64_t units,
                                   NonZeros& found) {
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

AE_HOST_DEVICE void find_non_zeros(const float* x, std::int64_t inputs, std::int64_t units,
                                   NonZeros& found) {
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
template <std::size_t kUnits>
AE_HOST_DEVICE void accumulate_rows(const NonZeros& x, const float* w, bool first, float* y) {
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

void sparse_forward(const ConstTile& x, const float* w, std::int64_t units, float* y) {
  NonZeros non_zeros;
  for (std::int64_t row = 0; row < x.rows; ++row) {
    float* out = y + row * units;
    std::int64_t begin = 0;
    do {  // once even if there are no inputs: y = 0 then
      const std::int64_t inputs = x.cols - begin < kStretch ? x.cols - begin : kStretch;
      find_non_zeros(x.data + row * x.stride + begin, inputs, units, non_zeros);
      const float* weights = w + begin * units;
      std::int64_t unit = 0;
      for (; unit + 2 * kSparseUnits <= units; unit += 2 * kSparseUnits) {
        accumulate_rows<2 * kSparseUnits>(non_zeros, weights + unit, begin == 0, out + unit);
      }
      for (; unit < units; unit += kSparseUnits) {
        accumulate_rows<kSparseUnits>(non_zeros, weights + unit, begin == 0, out + unit);
      }
      begin += kStretch;
    } while (begin < x.cols);
  }
}

/// dW[input, 0 … kUnits) += value·dz[0 … kUnits) for the inputs listed.
template <std::size_t kUnits>
AE_HOST_DEVICE void scatter_row(const NonZeros& x, const float* dz, float* dw) {
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

void sparse_weight_gradient(const ConstTile& x, const float* dz, std::int64_t units, float* dw) {
  NonZeros non_zeros;
  for (std::int64_t i = 0; i < x.cols * units; ++i) dw[i] = 0.0F;
  for (std::int64_t begin = 0; begin < x.cols; begin += kStretch) {
    const std::int64_t inputs = x.cols - begin < kStretch ? x.cols - begin : kStretch;
    float* gradients = dw + begin * units;
    for (std::int64_t row = 0; row < x.rows; ++row) {
      find_non_zeros(x.data + row * x.stride + begin, inputs, units, non_zeros);
      std::int64_t unit = 0;
      for (; unit + 2 * kSparseUnits <= units; unit += 2 * kSparseUnits) {
        scatter_row<2 * kSparseUnits>(non_zeros, dz + row * units + unit, gradients + unit);
      }
      for (; unit < units; unit += kSparseUnits) {
        scatter_row<kSparseUnits>(non_zeros, dz + row * units + unit, gradients + unit);
      }
    }
  }
}

}  // namespace

extern const VectorKernels kernels;
const VectorKernels kernels{
    AE_TEXT(AE_ISA), convert_bytes, bias_activation, activation_gradient,   loss,
    sum_of_squares,  optimize,      sparse_forward,  sparse_weight_gradient};

}  // namespace ae::cpu::AE_ISA
