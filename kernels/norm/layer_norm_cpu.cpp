#include "norm/layer_norm.hpp"
#include "norm/layer_norm_simd.hpp"
#include "norm/norm_cpu.hpp"

namespace ae::cpu {

void plan(const LayerNormForward& op, Planner& planner) {
  planner.begin_rows(op.y.rows);
  if (op.x.size() == 0) return;
  planner.each_panel([op, &simd = layer_norm_simd(planner.instruction_set())](const Panel& panel) {
    const std::int64_t offset = panel.begin * op.x.cols;
    float* const statistics =
        op.mean_rstd.exists() ? op.mean_rstd.data + 2 * (offset / op.channels) : nullptr;
    simd.forward(norm_tile(op, nullptr, panel), op.y.data + offset, statistics);
  });
}

void plan(const LayerNormBackward& op, Planner& planner) {
  planner.begin_gradients(op.x.rows, panel_height(op.x.cols, op.channels));
  const ColumnSums dgamma = planner.column_sums(op.channels, op.dgamma.data);
  const ColumnSums dbeta = planner.column_sums(op.channels, op.dbeta.data);
  if (op.x.size() == 0) return;
  planner.each_panel([=, &simd = layer_norm_simd(planner.instruction_set())](const Panel& panel) {
    const std::int64_t offset = panel.begin * op.x.cols;
    const float* const statistics = op.mean_rstd.data + 2 * (offset / op.channels);
    simd.backward({norm_tile(op, statistics, panel), op.y.data + offset, op.dy.data + offset,
                   dgamma.of(panel), dbeta.of(panel)},
                  op.dx.exists() ? op.dx.data + offset : nullptr);
  });
}

}  // namespace ae::cpu
