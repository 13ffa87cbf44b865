#pragma once

#include <string_view>

#include "ae/activation.hpp"

#include "common/operation.hpp"
#include "core/operand.hpp"
#include "core/tensor.hpp"
#include "formulas/activations.hpp"

namespace ae {

/// y = activation(z), z = x·W + b;  x (batch, in), W (in, out), y (batch, out).
/// Without a bias it is zero. Where `z` is there and the activation's derivative is computed from
/// its input (slope_from_input), z is kept in it for the backward pass.
struct DenseForward {
  static constexpr std::string_view kName = "forward";

  ConstMatrix x{};
  ConstMatrix w{};
  ConstMatrix bias{};  ///< (out)
  Activation activation = Activation::identity;
  Matrix y{};
  Matrix z{};            ///< (batch, out)
  double x_density = 1;  ///< about what fraction of x is not zero: a device may skip zeros

  /// Zeros counted as if they were multiplied.
  [[nodiscard]] double flop() const {
    return 2.0 * static_cast<double>(x.rows) * static_cast<double>(w.size());
  }
  static void operands(auto& op, auto&& visit) {
    visit(in("x"), op.x);
    visit(in("w"), op.w);
    visit(in("bias"), op.bias);
    visit(out("y"), op.y);
    visit(out("z"), op.z);
  }
  void check() const {
    require(w.rows == x.cols && w.cols == y.cols && x.rows == y.rows, kName,
            "x, W and y do not fit together");
    require(!bias.exists() || bias.size() == y.cols, kName, "a bias is missing");
    require(!z.exists() || (z.rows == y.rows && z.cols == y.cols), kName, "z is not as large as y");
  }
};

/// Given dz = ∂loss/∂z of a layer z = x·W + b:
///   dW = xᵀ·dz,  dx = dz·Wᵀ where dx is there.
/// The layer's own db was made by whoever made dz.
///
/// Fused with the ActivationBackward of a dense layer below, whose output x = f(z') is (see
/// fuse()):
///   dx becomes dz' = (dz·Wᵀ) ⊙ f'(z'),  dbias_below = column sums of dz'.
struct DenseBackward {
  static constexpr std::string_view kName = "backward";

  ConstMatrix x{};   ///< (batch, in)
  ConstMatrix w{};   ///< (in, out)
  ConstMatrix dz{};  ///< (batch, out)
  Matrix dw{};       ///< (in, out)
  Matrix dx{};       ///< (batch, in)
  Activation activation_below = Activation::identity;
  ConstMatrix z_below{};  ///< z', where f' is computed from it
  Matrix dbias_below{};   ///< (in); there is an activation below where it exists
  double x_density = 1;   ///< as of DenseForward

  [[nodiscard]] double flop() const {
    const int products = dx.exists() ? 2 : 1;
    return products * (2.0 * static_cast<double>(x.rows) * static_cast<double>(w.size()));
  }
  static void operands(auto& op, auto&& visit) {
    visit(in("x"), op.x);
    visit(in("w"), op.w);
    visit(in("dz"), op.dz);
    visit(out("dw"), op.dw);
    visit(out("dx"), op.dx);
    visit(in("z below"), op.z_below);
    visit(out("dbias below"), op.dbias_below);
  }
  void check() const {
    require(w.rows == x.cols && w.cols == dz.cols && x.rows == dz.rows, kName,
            "x, W and dz do not fit together");
    require(dw.rows == w.rows && dw.cols == w.cols, kName, "dW is not as large as W");
    require(!dx.exists() || (dx.rows == x.rows && dx.cols == x.cols), kName,
            "dx is not as large as x");
    if (!dbias_below.exists()) return;
    require(dx.exists() && dbias_below.size() == x.cols, kName, "there is nothing below");
    require(!slope_from_input(activation_below) || z_below.size() == x.size(), kName,
            "the input of the activation below is missing");
  }
};

/// What f' of the activation below is computed from.
inline const float* saved_output(const DenseBackward& op) {
  return slope_from_input(op.activation_below) ? op.z_below.data : op.x.data;
}

AE_OPERATION(DenseForward)
AE_OPERATION(DenseBackward)

}  // namespace ae
