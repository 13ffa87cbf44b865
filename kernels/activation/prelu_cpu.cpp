#include "activation/prelu.hpp"
#include "activation/prelu_simd.hpp"
#include "convolution/geometry.hpp"
#include "cpu/planner.hpp"
#include "cpu/repeats.hpp"

namespace ae::cpu {

namespace {

/// A panel's values, seen as rows of `cols` columns, which are whole repeats of the channels.
ConstTile repeats_tile(const ConstMatrix& x, std::int64_t cols, const Panel& panel) {
  return {x.data + panel.begin * x.cols, cols == 0 ? 0 : panel.rows * x.cols / cols, cols, cols};
}

}  // namespace

void plan(const PreluForward& op, Planner& planner) {
  const std::int64_t channels = op.slope.size();
  const std::int64_t cols = columns_of_repeats(op.x.cols, channels);
  planner.begin_rows(op.x.rows);
  planner.need_scratch(cols);
  if (cols == 0) return;
  planner.each_panel([=, &simd = prelu_simd(planner.instruction_set())](const Panel& panel) {
    repeat(op.slope.data, channels, cols, panel.scratch);
    simd.forward(repeats_tile(op.x, cols, panel), panel.scratch,
                 op.y.data + panel.begin * op.y.cols);
  });
}

void plan(const PreluBackward& op, Planner& planner) {
  const std::int64_t channels = op.slope.size();
  const std::int64_t cols = columns_of_repeats(op.x.cols, channels);
  planner.begin_gradients(op.x.rows, panel_height(op.x.cols, channels));
  planner.need_scratch(2 * cols);
  const ColumnSums sums = planner.column_sums(channels, op.dslope.data);
  if (cols == 0) return;
  planner.each_panel([=, &simd = prelu_simd(planner.instruction_set())](const Panel& panel) {
    float* const slopes = panel.scratch;
    float* const column_sums = panel.scratch + cols;
    const std::int64_t offset = panel.begin * op.x.cols;
    repeat(op.slope.data, channels, cols, slopes);
    simd.backward(repeats_tile(op.x, cols, panel), slopes, op.dy.data + offset,
                  op.dx.exists() ? op.dx.data + offset : nullptr, column_sums);
    fold(column_sums, cols, channels, sums.of(panel));
  });
}

}  // namespace ae::cpu
