#pragma once

#include <cstdint>
#include <string_view>

#include "common/operation.hpp"
#include "core/operand.hpp"
#include "core/tensor.hpp"

namespace ae {

/// y = x where x > 0, slope[c]·x elsewhere; the slopes repeat along a row, one a channel. Source:
/// He, Zhang, Ren & Sun, "Delving deep into rectifiers", ICCV 2015, eq. 1.
struct PreluForward {
  static constexpr std::string_view kName = "prelu";

  ConstMatrix x{};      ///< (batch, cols)
  ConstMatrix slope{};  ///< (channels), which divide cols
  Matrix y{};

  static void operands(auto& op, auto&& visit) {
    visit(in("x"), op.x);
    visit(in("slope"), op.slope);
    visit(out("y"), op.y);
  }
  void check() const {
    require(y.rows == x.rows && y.cols == x.cols, kName, "x and y differ in shape");
    require(slope.size() == 0 ? x.cols == 0 : x.cols % slope.size() == 0, kName,
            "the channels do not divide a row");
  }
};

/// Given dy = ∂loss/∂y of that:
///   dx = dy where x > 0, slope[c]·dy elsewhere;  dslope[c] = Σ of dy·x over the x ≤ 0 of channel
///   c;
/// dx where it is there. Source: the same, eq. 4.
struct PreluBackward {
  static constexpr std::string_view kName = "prelu backward";

  ConstMatrix x{};
  ConstMatrix slope{};
  ConstMatrix dy{};
  Matrix dslope{};  ///< (channels)
  Matrix dx{};

  static void operands(auto& op, auto&& visit) {
    visit(in("x"), op.x);
    visit(in("slope"), op.slope);
    visit(in("dy"), op.dy);
    visit(out("dslope"), op.dslope);
    visit(out("dx"), op.dx);
  }
  void check() const {
    require(dy.rows == x.rows && dy.cols == x.cols, kName, "x and dy differ in shape");
    require(!dx.exists() || dx.size() == x.size(), kName, "dx is not as large as x");
    require(slope.size() == 0 ? x.cols == 0 : x.cols % slope.size() == 0, kName,
            "the channels do not divide a row");
    require(dslope.size() == slope.size(), kName, "there is not one gradient a slope");
  }
};

AE_OPERATION(PreluForward)
AE_OPERATION(PreluBackward)

}  // namespace ae
