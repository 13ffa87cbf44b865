#pragma once

#include <cstdint>
#include <string_view>

#include "common/operation.hpp"
#include "convolution/geometry.hpp"
#include "core/operand.hpp"
#include "core/tensor.hpp"

namespace ae {

/// Nearest-neighbour upsampling, each value becomes a square of factor × factor.
struct UpsampleForward {
  static constexpr std::string_view kName = "forward";

  ImageShape input{};
  std::int64_t factor = 2;
  ConstMatrix x{};
  Matrix y{};

  static void operands(auto& op, auto&& visit) {
    visit(in("x"), op.x);
    visit(out("y"), op.y);
  }
  void check() const {
    require(x.cols == input.size() && y.cols == x.cols * factor * factor && x.rows == y.rows, kName,
            "y is not x made larger");
  }
};

/// dx = the sum over each square of dy.
struct UpsampleBackward {
  static constexpr std::string_view kName = "backward";

  ImageShape input{};
  std::int64_t factor = 2;
  ConstMatrix dy{};
  Matrix dx{};

  static void operands(auto& op, auto&& visit) {
    visit(in("dy"), op.dy);
    visit(out("dx"), op.dx);
  }
  void check() const {
    require(dx.cols == input.size() && dy.cols == dx.cols * factor * factor && dx.rows == dy.rows,
            kName, "dy is not dx made larger");
  }
};

AE_OPERATION(UpsampleForward)
AE_OPERATION(UpsampleBackward)

}  // namespace ae
