#pragma once

#include <cstdint>
#include <string_view>

#include "ae/activation.hpp"
#include "ae/loss.hpp"

#include "common/operation.hpp"
#include "core/operand.hpp"
#include "core/tensor.hpp"

namespace ae {

/// Each row's Σ loss(z + b, target), without gradients: evaluation. The biases repeat along a row.
struct RowLosses {
  static constexpr std::string_view kName = "row losses";

  Loss loss = Loss::bce;
  Activation activation = Activation::sigmoid;
  ConstMatrix z{};
  ConstMatrix bias{};  ///< its size divides z.cols
  ConstMatrix target{};
  Tensor<double> sums{};  ///< (batch, 1)

  [[nodiscard]] std::int64_t channels() const { return bias.size(); }
  static void operands(auto& op, auto&& visit) {
    visit(in("z"), op.z);
    visit(in("bias"), op.bias);
    visit(in("target"), op.target);
    visit(out("sums"), op.sums);
  }
  void check() const {
    require(target.size() == z.size() && sums.rows == z.rows && sums.cols == 1, kName,
            "z, target and sums differ in size");
    require(bias.exists() && (bias.size() == 0 ? z.cols == 0 : z.cols % bias.size() == 0), kName,
            "the biases do not repeat along a row");
  }
};

AE_OPERATION(RowLosses)

}  // namespace ae
