#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "ae/model.hpp"

#include "oracle.hpp"

namespace ae::test {

/// Random inputs, the same for the same seed everywhere.
class Numbers {
 public:
  explicit Numbers(std::uint32_t seed) : engine_(seed) {}

  float unit() { return static_cast<float>(engine_() >> 8U) * 0x1p-24F; }
  float uniform(float low, float high) { return low + (high - low) * unit(); }

  std::vector<float> vector(std::int64_t size, float low = -1, float high = 1) {
    std::vector<float> values(static_cast<std::size_t>(size));
    for (float& value : values) value = uniform(low, high);
    return values;
  }

  HostMatrix matrix(std::int64_t rows, std::int64_t cols, float low = -1, float high = 1) {
    return {rows, cols, vector(rows * cols, low, high)};
  }

  /// Like images: about `density` of it is not zero.
  HostMatrix sparse_matrix(std::int64_t rows, std::int64_t cols, float density) {
    HostMatrix matrix{rows, cols, vector(rows * cols, 0, 1)};
    for (float& value : matrix.values) {
      if (unit() >= density) value = 0;
    }
    return matrix;
  }

  /// What an activation may put out.
  HostMatrix outputs(Activation activation, std::int64_t rows, std::int64_t cols) {
    const bool is_positive =
        activation == Activation::sigmoid || activation == Activation::softplus;
    HostMatrix y = matrix(rows, cols, is_positive ? 0.0F : -1.0F, 1);
    if (activation != Activation::relu) return y;
    for (float& value : y.values) value = std::max(value, 0.0F);
    return y;
  }

 private:
  std::mt19937 engine_;
};

}  // namespace ae::test
