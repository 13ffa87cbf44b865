#pragma once

#include <cstdint>
#include <string_view>

#include "ae/activation.hpp"

#include "common/operation.hpp"
#include "core/operand.hpp"
#include "core/tensor.hpp"
#include "norm/normalization.hpp"

namespace ae {

/// Of each group of `channels` neighbouring values x, a row or a pixel of it, with the mean μ and
/// the variance σ² of its values:
///   x̂ = (x - μ)/√(σ² + ε),  z = γ·x̂ + β,  y = f(z),  σ² = mean of (x - μ)²,  ε = 1e-5.
/// Source: Ba, Kiros & Hinton, "Layer normalization", 2016.
struct LayerNormForward {
  static constexpr std::string_view kName = "layer norm";

  Activation activation = Activation::identity;
  std::int64_t channels = 0;  ///< divides x.cols
  ConstMatrix x{};            ///< (batch, cols)
  ConstMatrix gamma{};        ///< (channels)
  ConstMatrix beta{};         ///< (channels)
  Matrix y{};
  /// A row a group, [μ, 1/√(σ² + ε)]; left out where there is no backward pass.
  Matrix mean_rstd{};

  static void operands(auto& op, auto&& visit) {
    visit(in("x"), op.x);
    visit(in("gamma"), op.gamma);
    visit(in("beta"), op.beta);
    visit(out("y"), op.y);
    visit(out("mean, rstd"), op.mean_rstd);
  }
  void check() const {
    require_normalizable(*this);
    require(!mean_rstd.exists() || mean_rstd.size() == 2 * normalized_groups(*this), kName,
            "the statistics are not two a group");
  }
};

/// Given dy = ∂loss/∂y of that:
///   dz = dy ⊙ f'(z),  dγ = Σ over groups of dz·x̂,  dβ = Σ over groups of dz,
///   dx = (g - mean of g - x̂·mean of g·x̂)/√(σ² + ε),  g = γ·dz, the means over a group;
/// dx where it is there.
struct LayerNormBackward {
  static constexpr std::string_view kName = "layer norm backward";

  Activation activation = Activation::identity;
  std::int64_t channels = 0;
  ConstMatrix x{};
  ConstMatrix gamma{};
  ConstMatrix beta{};
  ConstMatrix y{};
  ConstMatrix mean_rstd{};
  Matrix dy{};  ///< becomes dz
  Matrix dgamma{};
  Matrix dbeta{};
  Matrix dx{};

  static void operands(auto& op, auto&& visit) {
    visit(in("x"), op.x);
    visit(in("gamma"), op.gamma);
    visit(in("beta"), op.beta);
    visit(in("y"), op.y);
    visit(in("mean, rstd"), op.mean_rstd);
    visit(in_out("dz"), op.dy);
    visit(out("dgamma"), op.dgamma);
    visit(out("dbeta"), op.dbeta);
    visit(out("dx"), op.dx);
  }
  void check() const {
    require_normalizable(*this);
    require(mean_rstd.size() == 2 * normalized_groups(*this), kName,
            "the statistics are not two a group");
    require(dy.size() == x.size() && dgamma.size() == channels && dbeta.size() == channels, kName,
            "a gradient differs in size");
    require(!dx.exists() || dx.size() == x.size(), kName, "dx is not as large as x");
  }
};

AE_OPERATION(LayerNormForward)
AE_OPERATION(LayerNormBackward)

}  // namespace ae
