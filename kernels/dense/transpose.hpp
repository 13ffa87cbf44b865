#pragma once

#include <string_view>

#include "common/operation.hpp"
#include "core/operand.hpp"
#include "core/tensor.hpp"

namespace ae {

/// to = fromᵀ, or where `add`, to += fromᵀ. They share no memory.
struct Transpose {
  static constexpr std::string_view kName = "transpose";

  ConstMatrix from{};  ///< (rows, cols)
  Matrix to{};         ///< (cols, rows)
  bool add = false;

  static void operands(auto& op, auto&& visit) {
    visit(in("from"), op.from);
    visit(op.add ? in_out("sum") : out("to"), op.to);
  }
  void check() const {
    require(from.rows == to.cols && from.cols == to.rows, kName, "the shapes are not transposed");
  }
};

AE_OPERATION(Transpose)

}  // namespace ae
