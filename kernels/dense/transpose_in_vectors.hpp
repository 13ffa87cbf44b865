#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "cpu/tile.hpp"
#include "cpu/vector.hpp"

/// Transposition, for sources that are compiled once for each instruction set.
namespace ae::cpu::AE_ISA {

/// The lower, or from kFirst on the upper halves of both, in turn: a₀ b₀ a₁ b₁ …
template <std::size_t kFirst, std::size_t... kLanes>
AE_HOST_DEVICE Vector interleave(Vector a, Vector b, std::index_sequence<kLanes...> /*lanes*/) {
#if defined(__clang__) || __GNUC__ >= 12
  return __builtin_shufflevector(a, b,
                                 static_cast<int>(kFirst + kLanes / 2 + kLanes % 2 * kWidth)...);
#else  // GCC 11 has the older name alone, which takes the lanes' numbers as a vector
  using Lanes [[gnu::vector_size(sizeof(Vector))]] = std::int32_t;
  return __builtin_shuffle(
      a, b, Lanes{static_cast<std::int32_t>(kFirst + kLanes / 2 + kLanes % 2 * kWidth)...});
#endif
}

/// A square of kWidth × kWidth in registers: each turn interleaves rows that lie half the square
/// apart, and after log₂ kWidth turns rows are columns.
template <bool kAdd>
AE_HOST_DEVICE void transpose_square(const float* from, std::int64_t stride, float* to,
                                     std::int64_t to_stride) {
  constexpr auto kLanes = std::make_index_sequence<kWidth>();
  constexpr std::size_t kHalf = kWidth / 2;
  Vector rows[kWidth];
  for (std::size_t i = 0; i < kWidth; ++i) {
    rows[i] = load(from + static_cast<std::int64_t>(i) * stride);
  }
#pragma GCC unroll 4
  for (std::size_t turn = 1; turn < kWidth; turn *= 2) {
    Vector turned[kWidth];
    for (std::size_t i = 0; i < kHalf; ++i) {
      turned[2 * i] = interleave<0>(rows[i], rows[i + kHalf], kLanes);
      turned[2 * i + 1] = interleave<kHalf>(rows[i], rows[i + kHalf], kLanes);
    }
    for (std::size_t i = 0; i < kWidth; ++i) rows[i] = turned[i];
  }
  for (std::size_t i = 0; i < kWidth; ++i) {
    float* const column = to + static_cast<std::int64_t>(i) * to_stride;
    store(column, kAdd ? load(column) + rows[i] : rows[i]);
  }
}

template <bool kAdd>
AE_HOST_DEVICE void transpose_in_vectors(const ConstTile& from, float* to, std::int64_t to_stride) {
  constexpr auto kSide = static_cast<std::int64_t>(kWidth);
  const auto one_by_one = [&](std::int64_t row, std::int64_t row_end, std::int64_t col) {
    for (; col < from.cols; ++col) {
      for (std::int64_t r = row; r < row_end; ++r) {
        const float value = from.data[r * from.stride + col];
        float& place = to[col * to_stride + r];
        place = kAdd ? place + value : value;
      }
    }
  };
  std::int64_t row = 0;
  for (; row + kSide <= from.rows; row += kSide) {
    std::int64_t col = 0;
    for (; col + kSide <= from.cols; col += kSide) {
      transpose_square<kAdd>(from.data + row * from.stride + col, from.stride,
                             to + col * to_stride + row, to_stride);
    }
    one_by_one(row, row + kSide, col);
  }
  one_by_one(row, from.rows, 0);
}

}  // namespace ae::cpu::AE_ISA
