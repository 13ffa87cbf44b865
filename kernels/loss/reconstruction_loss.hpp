#pragma once

#include <cstdint>
#include <string_view>

#include "ae/activation.hpp"
#include "ae/loss.hpp"

#include "common/operation.hpp"
#include "core/operand.hpp"
#include "core/tensor.hpp"

namespace ae {

/// The output layer's bias, activation, loss, gradient and bias gradient in one pass, from logits
/// without bias z (batch, out) and targets of the same shape:
///   *loss_sum += Σ loss(z + b, target)
///   dz = gradient_scale · ∂loss/∂(z + b),  dbias = column sums of dz.
/// The biases repeat along a row. dz may be the memory of z.
struct ReconstructionLoss {
  static constexpr std::string_view kName = "loss";

  Loss loss = Loss::bce;
  Activation activation = Activation::sigmoid;
  ConstMatrix z{};
  ConstMatrix bias{};  ///< its size divides z.cols
  ConstMatrix target{};
  float gradient_scale = 1;
  Matrix dz{};
  Matrix dbias{};
  Tensor<double> loss_sum{};

  /// How many biases there are: one a channel, or one a column.
  [[nodiscard]] std::int64_t channels() const { return bias.size(); }
  static void operands(auto& op, auto&& visit) {
    visit(in("z"), op.z);
    visit(in("bias"), op.bias);
    visit(in("target"), op.target);
    visit(out("dz"), op.dz);
    visit(out("dbias"), op.dbias);
    visit(in_out("sum"), op.loss_sum);
  }
  void check() const {
    require(target.size() == z.size() && dz.size() == z.size(), kName,
            "z, target and dz differ in size");
    require(bias.exists() && dbias.size() == bias.size() &&
                (bias.size() == 0 ? z.cols == 0 : z.cols % bias.size() == 0),
            kName, "the biases do not repeat along a row");
  }
};

AE_OPERATION(ReconstructionLoss)

}  // namespace ae
