#pragma once

#include <cstdint>
#include <string_view>

#include "ae/activation.hpp"

#include "common/operation.hpp"
#include "core/operand.hpp"
#include "core/tensor.hpp"
#include "formulas/activations.hpp"

namespace ae {

/// Through the activation of a layer y = f(z + b), whose biases repeat along a row every `channels`
/// columns:  dz = dy ⊙ f'(z),  dbias[c] = Σ over rows, and over columns ≡ c mod channels, of dz.
struct ActivationBackward {
  static constexpr std::string_view kName = "activation backward";

  Activation activation = Activation::identity;
  ConstMatrix y{};
  ConstMatrix z{};            ///< what the forward pass kept, where f' is computed from it
  Matrix dy{};                ///< becomes dz
  std::int64_t channels = 0;  ///< divides y.cols
  Matrix dbias{};             ///< (channels)

  static void operands(auto& op, auto&& visit) {
    visit(in("y"), op.y);
    visit(in("z"), op.z);
    visit(in_out("dz"), op.dy);
    visit(out("dbias"), op.dbias);
  }
  void check() const {
    require(dy.rows == y.rows && dy.cols == y.cols, kName, "dy is not as large as y");
    require(dbias.size() == channels && (channels == 0 ? y.cols == 0 : y.cols % channels == 0),
            kName, "the biases do not repeat along a row");
    require(!slope_from_input(activation) || z.size() == y.size(), kName, "z is missing");
  }
};

/// What f' is computed from.
inline const float* saved_output(const ActivationBackward& op) {
  return slope_from_input(op.activation) ? op.z.data : op.y.data;
}

AE_OPERATION(ActivationBackward)

}  // namespace ae
