#include "cpu/planner.hpp"
#include "loss/softmax_loss.hpp"
#include "loss/softmax_loss_simd.hpp"

namespace ae::cpu {

namespace {

/// The panel's rows, without gradients.
template <typename Operation>
SoftmaxTile tile_of(const Operation& op, const Panel& panel) {
  return {.z = op.z.data + panel.begin * op.z.cols,
          .bias = op.bias.data,
          .classes = op.classes.data + panel.begin * op.classes.cols,
          .rows = panel.rows,
          .pixels = op.channels() == 0 ? 0 : op.classes.cols,
          .channels = op.channels(),
          .gradient_scale = 0,
          .dz = nullptr,
          .channel_sums = nullptr};
}

}  // namespace

void plan(const SoftmaxLoss& op, Planner& planner) {
  planner.begin_rows(op.z.rows, panel_height(op.z.cols, op.channels()));
  const RowSums losses = planner.row_sums(op.z.rows, op.loss_sum.data);
  const ColumnSums sums = planner.column_sums(op.channels(), op.dbias.data);
  planner.each_panel([=, &simd = softmax_loss_simd(planner.instruction_set())](const Panel& panel) {
    SoftmaxTile tile = tile_of(op, panel);
    tile.gradient_scale = op.gradient_scale;
    tile.dz = op.dz.data + panel.begin * op.dz.cols;
    tile.channel_sums = sums.of(panel);
    simd.loss(tile, losses.of(panel));
  });
}

void plan(const SoftmaxRowLosses& op, Planner& planner) {
  planner.begin_rows(op.z.rows);
  planner.each_panel(
      [op, &simd = softmax_loss_simd(planner.instruction_set())](const Panel& panel) {
        simd.loss(tile_of(op, panel), op.sums.data + panel.begin);
      });
}

}  // namespace ae::cpu
