#pragma once

#include <string_view>

#include "ae/activation.hpp"
#include "ae/sparsity.hpp"

#include "common/operation.hpp"
#include "core/operand.hpp"
#include "core/tensor.hpp"
#include "formulas/activations.hpp"

namespace ae {

/// The gradient through a code y = f(z), with what its sparsity costs. Given dy = ∂loss/∂y:
///   dz = (dy + l1/N·sign(y) + kl/N·((1-ρ)/(1-ρ̂) - ρ/ρ̂)) ⊙ f'(z),  N = y.rows,
///   dbias = column sums of dz,  *penalty_sum += N·(what SparsityOptions writes).
/// ρ̂ is kept within [1e-6, 1 - 1e-6], and left alone where kl is 0. Where `kept_largest`, values
/// that are zero, as KeepLargest makes them, pass no gradient on, penalties included.
///
/// Layers ask for one part at a time: the penalty, then what a top_k lets through, then the
/// activation (as ActivationBackward). fuse() makes one pass of them.
struct SparsityBackward {
  static constexpr std::string_view kName = "sparsity";

  SparsityOptions sparsity{};
  bool kept_largest = false;
  Activation activation = Activation::identity;
  ConstMatrix y{};  ///< (batch, units), after KeepLargest
  ConstMatrix z{};  ///< what the forward pass kept, where f' is computed from it
  Matrix dy{};      ///< becomes dz
  Matrix dbias{};   ///< (units); may be left out
  Tensor<double> penalty_sum{};

  static void operands(auto& op, auto&& visit) {
    visit(in("y"), op.y);
    visit(in("z"), op.z);
    visit(in_out("dz"), op.dy);
    visit(out("dbias"), op.dbias);
    visit(in_out("penalty"), op.penalty_sum);
  }
  void check() const {
    require(dy.rows == y.rows && dy.cols == y.cols, kName, "dy is not as large as y");
    require(!dbias.exists() || dbias.size() == y.cols, kName, "there is no bias a unit");
    require(!slope_from_input(activation) || z.size() == y.size(), kName, "z is missing");
    require(penalty_sum.exists(), kName, "there is no place for the penalty");
  }
};

/// What f' is computed from.
inline const float* saved_output(const SparsityBackward& op) {
  return slope_from_input(op.activation) ? op.z.data : op.y.data;
}

/// Whether it needs column means over the whole batch first.
inline bool needs_means(const SparsityBackward& op) {
  return op.sparsity.kl > 0;
}

AE_OPERATION(SparsityBackward)

}  // namespace ae
