#include "cpu/planner.hpp"
#include "cpu/repeats.hpp"
#include "loss/loss_simd.hpp"
#include "loss/row_losses.hpp"

namespace ae::cpu {

void plan(const RowLosses& op, Planner& planner) {
  const std::int64_t cols = op.z.cols;
  const bool repeats = op.channels() != cols;
  planner.begin_rows(op.z.rows);
  if (repeats) planner.need_scratch(cols);
  planner.each_panel([=, &simd = loss_simd(planner.instruction_set())](const Panel& panel) {
    const std::int64_t offset = panel.begin * cols;
    if (repeats) repeat(op.bias.data, op.channels(), cols, panel.scratch);
    simd.loss({op.loss,
               op.activation,
               {op.z.data + offset, panel.rows, cols, cols},
               repeats ? panel.scratch : op.bias.data,
               op.target.data + offset,
               0.0F,
               nullptr,
               nullptr},
              op.sums.data + panel.begin);
  });
}

}  // namespace ae::cpu
