#pragma once

#include <cstdint>
#include <string_view>

#include "common/operation.hpp"
#include "convolution/geometry.hpp"
#include "core/operand.hpp"
#include "core/tensor.hpp"

namespace ae {

/// Non-overlapping windows of size × size values of a channel; those at the lower and right edge
/// may be cut off, so that the output is ⌈height/size⌉ × ⌈width/size⌉.
///   y = the largest value of a window
struct MaxPoolForward {
  static constexpr std::string_view kName = "forward";

  ImageShape input{};
  std::int64_t size = 2;
  ConstMatrix x{};
  Matrix y{};

  [[nodiscard]] ImageShape output() const {
    return {(input.height + size - 1) / size, (input.width + size - 1) / size, input.channels};
  }
  static void operands(auto& op, auto&& visit) {
    visit(in("x"), op.x);
    visit(out("y"), op.y);
  }
  void check() const {
    require(size > 0 && x.cols == input.size() && y.cols == output().size() && x.rows == y.rows,
            kName, "x and y are not the pool's");
  }
};

/// dx is dy where x is the window's first largest value in row-major order, 0 elsewhere.
struct MaxPoolBackward {
  static constexpr std::string_view kName = "backward";

  ImageShape input{};
  std::int64_t size = 2;
  ConstMatrix x{};
  ConstMatrix dy{};
  Matrix dx{};

  static void operands(auto& op, auto&& visit) {
    visit(in("x"), op.x);
    visit(in("dy"), op.dy);
    visit(out("dx"), op.dx);
  }
  void check() const {
    require(size > 0 && x.cols == input.size() && dx.size() == x.size() && dy.rows == x.rows, kName,
            "x, dy and dx are not the pool's");
  }
};

AE_OPERATION(MaxPoolForward)
AE_OPERATION(MaxPoolBackward)

}  // namespace ae
