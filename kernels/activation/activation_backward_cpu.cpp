#include "activation/activation_backward.hpp"
#include "activation/activation_simd.hpp"
#include "convolution/geometry.hpp"
#include "cpu/planner.hpp"
#include "cpu/repeats.hpp"

namespace ae::cpu {

/// The rows and their biases lie one after the other, so that they can be seen as rows of any whole
/// number of repeats.
void plan(const ActivationBackward& op, Planner& planner) {
  const std::int64_t cols = columns_of_repeats(op.y.cols, op.channels);
  planner.begin_rows(op.y.rows, panel_height(op.y.cols, op.channels));
  planner.need_scratch(cols);
  const ColumnSums sums = planner.column_sums(op.channels, op.dbias.data);
  const ActivationSimd& simd = activation_simd(planner.instruction_set());
  planner.each_panel([=, &simd](const Panel& panel) {
    const std::int64_t offset = panel.begin * op.y.cols;
    const std::int64_t tile_rows = cols == 0 ? 0 : panel.rows * op.y.cols / cols;
    simd.gradient(op.activation, {saved_output(op) + offset, tile_rows, cols, cols},
                  {op.dy.data + offset, tile_rows, cols, cols}, panel.scratch);
    fold(panel.scratch, cols, op.channels, sums.of(panel));
  });
}

}  // namespace ae::cpu
