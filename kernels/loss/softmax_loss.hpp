#pragma once

#include <cstdint>
#include <string_view>

#include "common/operation.hpp"
#include "core/operand.hpp"
#include "core/tensor.hpp"

namespace ae {

/// Softmax and cross-entropy over the channels of each pixel, from logits without bias z (batch,
/// pixels·channels), channels innermost, against a class a pixel. With l = z + b of a pixel and its
/// class t:
///   loss = ln Σ over c of e^(l_c) - l_t,  *loss_sum += Σ loss,
///   dz_c = gradient_scale·(e^(l_c)/Σ e^l - [c = t]),  dbias = Σ over batch and pixels of dz.
/// A pixel whose class is not from 0 to channels - 1 has no loss and no gradient. dz may be the
/// memory of z. Source: Bishop, "Pattern recognition and machine learning", 2006, section 4.3.4.
struct SoftmaxLoss {
  static constexpr std::string_view kName = "softmax loss";

  ConstMatrix z{};
  ConstMatrix bias{};                    ///< (channels), which divide z.cols
  Tensor<const std::int32_t> classes{};  ///< (batch, pixels)
  float gradient_scale = 1;
  Matrix dz{};
  Matrix dbias{};
  Tensor<double> loss_sum{};

  [[nodiscard]] std::int64_t channels() const { return bias.size(); }
  static void operands(auto& op, auto&& visit) {
    visit(in("z"), op.z);
    visit(in("bias"), op.bias);
    visit(in("classes"), op.classes);
    visit(out("dz"), op.dz);
    visit(out("dbias"), op.dbias);
    visit(in_out("sum"), op.loss_sum);
  }
  void check() const {
    require(classes.rows == z.rows && classes.cols * channels() == z.cols, kName,
            "there is not one class a pixel");
    require(dz.size() == z.size() && dbias.size() == bias.size(), kName,
            "a gradient differs in size");
    require(loss_sum.exists(), kName, "there is no place for the loss");
  }
};

/// Each row's Σ loss of its pixels, without gradients: evaluation.
struct SoftmaxRowLosses {
  static constexpr std::string_view kName = "softmax row losses";

  ConstMatrix z{};
  ConstMatrix bias{};
  Tensor<const std::int32_t> classes{};
  Tensor<double> sums{};  ///< (batch, 1)

  [[nodiscard]] std::int64_t channels() const { return bias.size(); }
  static void operands(auto& op, auto&& visit) {
    visit(in("z"), op.z);
    visit(in("bias"), op.bias);
    visit(in("classes"), op.classes);
    visit(out("sums"), op.sums);
  }
  void check() const {
    require(classes.rows == z.rows && classes.cols * channels() == z.cols, kName,
            "there is not one class a pixel");
    require(sums.rows == z.rows && sums.cols == 1, kName, "there is not one sum a row");
  }
};

AE_OPERATION(SoftmaxLoss)
AE_OPERATION(SoftmaxRowLosses)

}  // namespace ae
