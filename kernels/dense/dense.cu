// The products of dense layers, and what follows them in the same operation: as one where the
// device's library can do that, a kernel behind the product elsewhere.

#include "activation/activation_kernels.hpp"
#include "dense/dense.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

void launch(const DenseForward& op, LaunchContext& context) {
  const Product product{.m = op.y.rows,
                        .n = op.y.cols,
                        .k = op.x.cols,
                        .a = op.x.data,
                        .b = op.w.data,
                        .c = op.y.data};
  if (context.multiply_and_activate(product, op)) return;
  context.multiply(product);
  bias_activation(op.activation, op.bias.data, op.y.data, op.z.data, op.y.rows, op.y.cols, context);
}

void launch(const DenseBackward& op, LaunchContext& context) {
  const Product weight_gradient{.transpose_a = true,
                                .m = op.dw.rows,
                                .n = op.dw.cols,
                                .k = op.dz.rows,
                                .a = op.x.data,
                                .b = op.dz.data,
                                .c = op.dw.data};
  if (!op.dx.exists()) {
    context.multiply(weight_gradient);
    return;
  }
  // The two products share an operand and nothing else.
  context.multiply_beside(weight_gradient);
  const Product input_gradient{.transpose_b = true,
                               .m = op.dx.rows,
                               .n = op.dx.cols,
                               .k = op.dz.cols,
                               .a = op.dz.data,
                               .b = op.w.data,
                               .c = op.dx.data};
  if (context.multiply_and_differentiate(input_gradient, op)) return;
  context.multiply(input_gradient);
  if (!op.dbias_below.exists()) return;
  activation_gradient(op.activation_below, saved_output(op), op.dx.data, op.dx.rows, op.dx.cols,
                      op.dbias_below.data, context);
}

}  // namespace ae::AE_DEVICE_NAMESPACE
