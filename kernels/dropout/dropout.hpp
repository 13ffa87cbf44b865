#pragma once

#include <cstdint>
#include <string_view>

#include "common/operation.hpp"
#include "core/operand.hpp"
#include "core/tensor.hpp"

namespace ae {

/// What a dropout layer drops: value number e = row·cols + col < 2^34 of a batch where word e of
/// the stream (RandomPurpose::dropout, *step) of `seed` and `layer`, as a fraction of its range, is
/// below `rate`. Without a step, stream 0.
struct DropoutMask {
  float rate = 0;  ///< in [0, 1)
  std::uint64_t seed = 0;
  Tensor<const std::int64_t> step{};
  std::uint32_t layer = 0;  ///< its number in the model, < 2^24: each layer draws its own
};

/// y is 0 where x is dropped, whatever x is, and x/(1 - rate) elsewhere. Source: Srivastava et al.,
/// "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15, 2014.
struct DropoutForward {
  static constexpr std::string_view kName = "dropout";

  DropoutMask mask{};
  ConstMatrix x{};
  Matrix y{};

  static void operands(auto& op, auto&& visit) {
    visit(in("step"), op.mask.step);
    visit(in("x"), op.x);
    visit(out("y"), op.y);
  }
  void check() const {
    require(x.rows == y.rows && x.cols == y.cols, kName, "x and y differ in shape");
  }
};

/// dx is 0 where x was dropped, dy/(1 - rate) elsewhere; the mask is drawn again.
struct DropoutBackward {
  static constexpr std::string_view kName = "dropout backward";

  DropoutMask mask{};
  ConstMatrix dy{};
  Matrix dx{};

  static void operands(auto& op, auto&& visit) {
    visit(in("step"), op.mask.step);
    visit(in("dy"), op.dy);
    visit(out("dx"), op.dx);
  }
  void check() const {
    require(dy.rows == dx.rows && dy.cols == dx.cols, kName, "dy and dx differ in shape");
  }
};

AE_OPERATION(DropoutForward)
AE_OPERATION(DropoutBackward)

}  // namespace ae
