#include "code/sparsity.hpp"
#include "code/sparsity_simd.hpp"
#include "cpu/planner.hpp"
#include "formulas/sparsity.hpp"

namespace ae::cpu {

void plan(const SparsityBackward& op, Planner& planner) {
  const std::int64_t rows = op.y.rows;
  const std::int64_t cols = op.y.cols;
  const SparsitySimd& simd = sparsity_simd(planner.instruction_set());
  const bool has_means = needs_means(op);

  planner.begin_gradients(rows, PanelHeight::rows);
  ColumnSums activations;
  if (has_means) {
    activations = planner.column_sums(cols, nullptr);
    planner.each_panel([=, &simd](const Panel& panel) {
      simd.sum_activations({op.y.data + panel.begin * cols, panel.rows, cols, cols},
                           activations.of(panel));
    });
    planner.begin_phase(rows, PanelHeight::rows);
  }

  // What the columns cost the whole batch is as one more row, of the first panel's.
  const RowSums penalties =
      planner.row_sums(has_means && rows > 0 ? rows + 1 : rows, op.penalty_sum.data);
  const ColumnSums sums = planner.column_sums(cols, op.dbias.data);
  planner.each_panel([=, &simd](const Panel& panel) {
    const std::int64_t offset = panel.begin * cols;
    const bool counts_columns = has_means && panel.begin == 0;
    simd.gradient({op.activation,
                   sparsity::rates_of(op.sparsity, op.kept_largest, rows),
                   {op.y.data + offset, panel.rows, cols, cols},
                   saved_output(op) + offset,
                   has_means ? activations.of_all(panel.memory) : nullptr,
                   op.dy.data + offset,
                   sums.of(panel)},
                  penalties.of(panel),
                  counts_columns ? penalties.of(panel.memory) + rows : nullptr);
  });
}

}  // namespace ae::cpu
