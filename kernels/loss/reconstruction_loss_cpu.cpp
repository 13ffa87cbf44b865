#include "cpu/planner.hpp"
#include "cpu/repeats.hpp"
#include "loss/loss_simd.hpp"
#include "loss/reconstruction_loss.hpp"

namespace ae::cpu {

void plan(const ReconstructionLoss& op, Planner& planner) {
  const std::int64_t cols = op.z.cols;
  const std::int64_t channels = op.channels();
  const bool repeats = channels != cols;
  planner.begin_rows(op.z.rows, panel_height(cols, channels));
  if (repeats) planner.need_scratch(2 * cols);
  const RowSums losses = planner.row_sums(op.z.rows, op.loss_sum.data);
  const ColumnSums sums = planner.column_sums(channels, op.dbias.data);
  planner.each_panel([=, &simd = loss_simd(planner.instruction_set())](const Panel& panel) {
    const std::int64_t offset = panel.begin * cols;
    float* const column_sums = repeats ? panel.scratch + cols : sums.of(panel);
    if (repeats) repeat(op.bias.data, channels, cols, panel.scratch);
    simd.loss({op.loss,
               op.activation,
               {op.z.data + offset, panel.rows, cols, cols},
               repeats ? panel.scratch : op.bias.data,
               op.target.data + offset,
               op.gradient_scale,
               op.dz.data + offset,
               column_sums},
              losses.of(panel));
    if (repeats) fold(column_sums, cols, channels, sums.of(panel));
  });
}

}  // namespace ae::cpu
