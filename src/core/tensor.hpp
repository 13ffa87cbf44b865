#pragma once

#include <cstdint>
#include <type_traits>

namespace ae {

/// A view of a contiguous row-major array in a device's memory. It owns nothing. A null `data`
/// means that an optional operand is absent.
template <typename T>
struct Tensor {
  T* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t cols = 0;

  [[nodiscard]] std::int64_t size() const { return rows * cols; }
  [[nodiscard]] bool exists() const { return data != nullptr; }

  /// As T* to const T*. A template, since nvcc warns of a conversion of Tensor<const T> to itself.
  template <typename Other,
            typename = std::enable_if_t<!std::is_const_v<T> && std::is_same_v<Other, const T>>>
  operator Tensor<Other>() const {  // NOLINT(google-explicit-constructor)
    return {data, rows, cols};
  }
};

using Matrix = Tensor<float>;
using ConstMatrix = Tensor<const float>;

/// A row of `size` numbers; absent if `data` is null.
template <typename T>
Tensor<T> vector_of(T* data, std::int64_t size) {
  return {data, 1, size};
}

/// A single number.
template <typename T>
Tensor<T> scalar_of(T* data) {
  return {data, 1, 1};
}

}  // namespace ae
