#pragma once

#include <cstdint>
#include <string_view>

#include "ae/activation.hpp"

#include "common/operation.hpp"
#include "core/operand.hpp"
#include "core/tensor.hpp"
#include "norm/normalization.hpp"

namespace ae {

/// As LayerNormForward, of each channel, the columns that are the same modulo `channels`, over the
/// whole batch: N = x.size()/channels values. With `mean_var`, in training, μ and σ² are the
/// batch's; they go to mean_var = [μ | σ²], and the running ones, [μ | σ²] too, become
///   running + 0.1·(the batch's - running), of σ²·N/(N - 1), of one value σ² itself;
/// of no values the statistics are 0 and the running ones stay. Without it, μ and σ² are the
/// running ones. Source: Ioffe & Szegedy, "Batch normalization", ICML 2015.
struct BatchNormForward {
  static constexpr std::string_view kName = "batch norm";

  Activation activation = Activation::identity;
  std::int64_t channels = 0;  ///< divides x.cols
  ConstMatrix x{};
  ConstMatrix gamma{};
  ConstMatrix beta{};
  Matrix running{};   ///< (2, channels)
  Matrix mean_var{};  ///< (2, channels)
  Matrix y{};

  static void operands(auto& op, auto&& visit) {
    visit(in("x"), op.x);
    visit(in("gamma"), op.gamma);
    visit(in("beta"), op.beta);
    visit(op.mean_var.exists() ? in_out("running") : in("running"), op.running);
    visit(out("mean, variance"), op.mean_var);
    visit(out("y"), op.y);
  }
  void check() const {
    require_normalizable(*this);
    require(
        running.size() == 2 * channels && (!mean_var.exists() || mean_var.size() == 2 * channels),
        kName, "the statistics are not two a channel");
  }
};

/// As LayerNormBackward, by the batch's statistics; the means are over a channel.
struct BatchNormBackward {
  static constexpr std::string_view kName = "batch norm backward";

  Activation activation = Activation::identity;
  std::int64_t channels = 0;
  ConstMatrix x{};
  ConstMatrix gamma{};
  ConstMatrix beta{};
  ConstMatrix y{};
  ConstMatrix mean_var{};
  Matrix dy{};  ///< becomes dz
  Matrix dgamma{};
  Matrix dbeta{};
  Matrix dx{};

  static void operands(auto& op, auto&& visit) {
    visit(in("x"), op.x);
    visit(in("gamma"), op.gamma);
    visit(in("beta"), op.beta);
    visit(in("y"), op.y);
    visit(in("mean, variance"), op.mean_var);
    visit(in_out("dz"), op.dy);
    visit(out("dgamma"), op.dgamma);
    visit(out("dbeta"), op.dbeta);
    visit(out("dx"), op.dx);
  }
  void check() const {
    require_normalizable(*this);
    require(mean_var.size() == 2 * channels, kName, "the statistics are not two a channel");
    require(dy.size() == x.size() && dgamma.size() == channels && dbeta.size() == channels, kName,
            "a gradient differs in size");
    require(!dx.exists() || dx.size() == x.size(), kName, "dx is not as large as x");
  }
};

AE_OPERATION(BatchNormForward)
AE_OPERATION(BatchNormBackward)

}  // namespace ae
