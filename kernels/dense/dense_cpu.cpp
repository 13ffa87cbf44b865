#include <algorithm>

#include "activation/activation_simd.hpp"
#include "cpu/gemm.hpp"
#include "cpu/planner.hpp"
#include "dense/dense.hpp"
#include "dense/sparse_product_simd.hpp"
#include "dense/transpose_cpu.hpp"

namespace ae::cpu {

namespace {

/// Inputs (or units) of W that make one stripe of a weight gradient; a multiple of every vector
/// width, small enough for a stripe to stay in the innermost cache.
constexpr std::int64_t kStripe = 112;
/// From this many rows of dz on, dz·Wᵀ is computed with a transposed copy of W: several panels
/// share the copy, and oneDNN 3 allocates memory in products of 16 rows or more whose second factor
/// it has to transpose itself.
constexpr std::int64_t kRowsForTransposedWeights = 16;
/// Below this fraction of non-zeros, skipping zeros beats the dense product.
constexpr double kSparse = 0.4;

bool skip_zeros(double density, std::int64_t units) {
  return density < kSparse && units % kSparseUnits == 0;
}

/// Stripes run along the longer side of W, or along its inputs where zeros are skipped.
bool stripes_along_inputs(const DenseBackward& op) {
  return skip_zeros(op.x_density, op.dz.cols) || op.x.cols >= op.dz.cols;
}

/// One stripe of dW = xᵀ·dz, summed over the whole batch.
void run_weight_gradient(const DenseBackward& op, const SparseProductSimd& simd,
                         std::int64_t stripe) {
  const std::int64_t batch = op.x.rows;
  const std::int64_t inputs = op.x.cols;
  const std::int64_t units = op.dz.cols;
  const std::int64_t begin = stripe * kStripe;
  if (skip_zeros(op.x_density, units)) {
    const std::int64_t size = std::min(kStripe, inputs - begin);
    simd.weight_gradient({op.x.data + begin, batch, size, inputs}, op.dz.data, units,
                         op.dw.data + begin * units);
  } else if (stripes_along_inputs(op)) {
    const std::int64_t size = std::min(kStripe, inputs - begin);
    gemm(Transposed::yes, Transposed::no, size, units, batch, op.x.data + begin, inputs, op.dz.data,
         units, op.dw.data + begin * units, units);
  } else {
    const std::int64_t size = std::min(kStripe, units - begin);
    gemm(Transposed::yes, Transposed::no, inputs, size, batch, op.x.data, inputs,
         op.dz.data + begin, units, op.dw.data + begin, units);
  }
}

/// dx = dz·Wᵀ for a panel's rows.
void plan_input_gradient(const DenseBackward& op, Planner& planner) {
  const std::int64_t inputs = op.x.cols;
  const std::int64_t units = op.dz.cols;
  if (op.dz.rows < kRowsForTransposedWeights) {
    planner.each_panel([=](const Panel& panel) {
      gemm(Transposed::no, Transposed::yes, panel.rows, inputs, units,
           op.dz.data + panel.begin * units, units, op.w.data, units,
           op.dx.data + panel.begin * inputs, inputs);
    });
    return;
  }
  const Packed transposed = planner.packed(op.w.size());
  const TransposeSimd& simd = transpose_simd(planner.instruction_set());
  planner.before_panels(
      transpose_stripes(op.w), [=, &simd](std::int64_t stripe, const StepMemory& memory) {
        transpose_stripe(op.w, stripe, /*add=*/false, transposed.of(memory), simd);
      });
  planner.each_panel([=](const Panel& panel) {
    gemm(Transposed::no, Transposed::no, panel.rows, inputs, units,
         op.dz.data + panel.begin * units, units, transposed.of(panel.memory), inputs,
         op.dx.data + panel.begin * inputs, inputs);
  });
}

}  // namespace

void plan(const DenseForward& op, Planner& planner) {
  const ActivationSimd& activation = activation_simd(planner.instruction_set());
  const SparseProductSimd& sparse = sparse_product_simd(planner.instruction_set());
  planner.begin_rows(op.y.rows, PanelHeight::rows);
  planner.each_panel([op, &activation, &sparse](const Panel& panel) {
    const std::int64_t inputs = op.x.cols;
    const std::int64_t units = op.y.cols;
    const float* x = op.x.data + panel.begin * inputs;
    float* y = op.y.data + panel.begin * units;
    if (skip_zeros(op.x_density, units)) {
      sparse.forward({x, panel.rows, inputs, inputs}, op.w.data, units, y);
    } else {
      gemm(Transposed::no, Transposed::no, panel.rows, units, inputs, x, inputs, op.w.data, units,
           y, units);
    }
    if (op.bias.exists() || op.activation != Activation::identity) {
      float* const z = op.z.exists() ? op.z.data + panel.begin * units : nullptr;
      activation.bias_activation(op.activation, op.bias.data, {y, panel.rows, units, units}, z);
    }
  });
}

/// A backward pass alternates both kinds of gradient; its input gradients overwrite nothing that
/// its weight gradients read, so all of it fits one phase.
void plan(const DenseBackward& op, Planner& planner) {
  planner.begin_gradients(op.dz.rows, PanelHeight::rows);
  const SparseProductSimd& sparse = sparse_product_simd(planner.instruction_set());
  const std::int64_t stripes = pieces(stripes_along_inputs(op) ? op.x.cols : op.dz.cols, kStripe);
  planner.after_panels(stripes, [=, &sparse](std::int64_t stripe, const StepMemory& /*memory*/) {
    run_weight_gradient(op, sparse, stripe);
  });
  if (!op.dx.exists()) return;
  plan_input_gradient(op, planner);
  if (!op.dbias_below.exists()) return;
  const ColumnSums sums = planner.column_sums(op.dx.cols, op.dbias_below.data);
  planner.each_panel([=, &simd = activation_simd(planner.instruction_set())](const Panel& panel) {
    const std::int64_t cols = op.dx.cols;
    const std::int64_t offset = panel.begin * cols;
    simd.gradient(op.activation_below, {saved_output(op) + offset, panel.rows, cols, cols},
                  {op.dx.data + offset, panel.rows, cols, cols}, sums.of(panel));
  });
}

}  // namespace ae::cpu
