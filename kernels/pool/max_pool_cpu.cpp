#include "cpu/planner.hpp"
#include "pool/max_pool.hpp"
#include "pool/pool_simd.hpp"

namespace ae::cpu {

namespace {

Windows windows_of(const ImageShape& large, std::int64_t size) {
  return {large.height, large.width, large.channels, size};
}

}  // namespace

void plan(const MaxPoolForward& op, Planner& planner) {
  planner.begin_rows(op.x.rows);
  planner.each_panel([op, &simd = pool_simd(planner.instruction_set())](const Panel& panel) {
    for (std::int64_t row = panel.begin; row < panel.begin + panel.rows; ++row) {
      simd.max_pool(windows_of(op.input, op.size), op.x.data + row * op.x.cols,
                    op.y.data + row * op.y.cols);
    }
  });
}

void plan(const MaxPoolBackward& op, Planner& planner) {
  planner.begin_rows(op.x.rows);
  planner.each_panel([op, &simd = pool_simd(planner.instruction_set())](const Panel& panel) {
    for (std::int64_t row = panel.begin; row < panel.begin + panel.rows; ++row) {
      simd.max_pool_gradient(windows_of(op.input, op.size), op.x.data + row * op.x.cols,
                             op.dy.data + row * op.dy.cols, op.dx.data + row * op.dx.cols);
    }
  });
}

}  // namespace ae::cpu
