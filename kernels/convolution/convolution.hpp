#pragma once

#include <cstdint>
#include <string_view>

#include "ae/activation.hpp"

#include "common/operation.hpp"
#include "convolution/geometry.hpp"
#include "core/operand.hpp"
#include "core/tensor.hpp"

namespace ae {

/// Of one pass over a batch, as if no tap fell outside the image.
inline double convolution_flop(const Convolution& convolution, std::int64_t batch) {
  return 2.0 * static_cast<double>(batch) *
         static_cast<double>(convolution.map.height * convolution.map.width) *
         static_cast<double>(convolution.weights());
}

/// y = activation(z), z = convolution(x, W) + b, a bias a channel of the output. Without a bias it
/// is zero; `z` as in DenseForward.
struct ConvolutionForward {
  static constexpr std::string_view kName = "forward";

  Convolution convolution{};
  ConstMatrix x{};     ///< (batch, input().size())
  ConstMatrix w{};     ///< convolution.weights() numbers
  ConstMatrix bias{};  ///< (output().channels)
  Activation activation = Activation::identity;
  Matrix y{};  ///< (batch, output().size())
  Matrix z{};  ///< (batch, output().size())

  [[nodiscard]] double flop() const { return convolution_flop(convolution, x.rows); }
  static void operands(auto& op, auto&& visit) {
    visit(in("x"), op.x);
    visit(in("w"), op.w);
    visit(in("bias"), op.bias);
    visit(out("y"), op.y);
    visit(out("z"), op.z);
  }
  void check() const {
    require(x.cols == convolution.input().size() && y.cols == convolution.output().size() &&
                x.rows == y.rows,
            kName, "x and y are not the convolution's");
    require(w.size() == convolution.weights(), kName, "W is not the convolution's");
    require(!bias.exists() || bias.size() == convolution.output().channels, kName,
            "a bias is missing");
    require(!z.exists() || z.size() == y.size(), kName, "z is not as large as y");
  }
};

/// Given dz = ∂loss/∂z of z = convolution(x, W) + b: dW, and dx = ∂loss/∂x where dx is there.
struct ConvolutionBackward {
  static constexpr std::string_view kName = "backward";

  Convolution convolution{};
  ConstMatrix x{};
  ConstMatrix w{};
  ConstMatrix dz{};
  Matrix dw{};
  Matrix dx{};

  [[nodiscard]] double flop() const {
    return (dx.exists() ? 2 : 1) * convolution_flop(convolution, x.rows);
  }
  static void operands(auto& op, auto&& visit) {
    visit(in("x"), op.x);
    visit(in("w"), op.w);
    visit(in("dz"), op.dz);
    visit(out("dw"), op.dw);
    visit(out("dx"), op.dx);
  }
  void check() const {
    require(x.cols == convolution.input().size() && dz.cols == convolution.output().size() &&
                x.rows == dz.rows,
            kName, "x and dz are not the convolution's");
    require(w.size() == convolution.weights() && dw.size() == w.size(), kName,
            "W and dW are not the convolution's");
    require(!dx.exists() || dx.size() == x.size(), kName, "dx is not as large as x");
  }
};

AE_OPERATION(ConvolutionForward)
AE_OPERATION(ConvolutionBackward)

}  // namespace ae
