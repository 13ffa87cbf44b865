#pragma once

#include <string_view>

#include "common/operation.hpp"
#include "core/operand.hpp"
#include "core/tensor.hpp"

namespace ae {

/// What clips gradients to a norm of `max_norm` > 0:
///   *scale = min(1, max_norm/(√Σ gradients² + 1e-6)),
/// summed in double, so that no square overflows or vanishes; NaN where a gradient is.
struct ClipScale {
  static constexpr std::string_view kName = "clip";

  ConstMatrix gradients{};
  float max_norm = 0;
  Matrix scale{};  ///< a single number

  static void operands(auto& op, auto&& visit) {
    visit(in("gradients"), op.gradients);
    visit(out("scale"), op.scale);
  }
  void check() const { require(scale.size() == 1, kName, "the scale is not a single number"); }
};

AE_OPERATION(ClipScale)

}  // namespace ae
