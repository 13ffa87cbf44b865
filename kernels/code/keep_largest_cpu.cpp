#include "code/keep_largest.hpp"
#include "code/keep_largest_simd.hpp"
#include "cpu/planner.hpp"

namespace ae::cpu {

void plan(const KeepLargest& op, Planner& planner) {
  planner.begin_rows(op.y.rows);
  planner.each_panel(
      [op, &simd = keep_largest_simd(planner.instruction_set())](const Panel& panel) {
        const std::int64_t cols = op.y.cols;
        if (op.k >= cols) return;
        simd.keep_largest(op.k, {op.y.data + panel.begin * cols, panel.rows, cols, cols});
      });
}

}  // namespace ae::cpu
