#include "cpu/planner.hpp"
#include "pool/pool_simd.hpp"
#include "pool/upsample.hpp"

namespace ae::cpu {

namespace {

Windows windows_of(const ImageShape& small, std::int64_t factor) {
  return {small.height * factor, small.width * factor, small.channels, factor};
}

}  // namespace

void plan(const UpsampleForward& op, Planner& planner) {
  planner.begin_rows(op.x.rows);
  planner.each_panel([op, &simd = pool_simd(planner.instruction_set())](const Panel& panel) {
    for (std::int64_t row = panel.begin; row < panel.begin + panel.rows; ++row) {
      simd.upsample(windows_of(op.input, op.factor), op.x.data + row * op.x.cols,
                    op.y.data + row * op.y.cols);
    }
  });
}

void plan(const UpsampleBackward& op, Planner& planner) {
  planner.begin_rows(op.dx.rows);
  planner.each_panel([op, &simd = pool_simd(planner.instruction_set())](const Panel& panel) {
    for (std::int64_t row = panel.begin; row < panel.begin + panel.rows; ++row) {
      simd.upsample_gradient(windows_of(op.input, op.factor), op.dy.data + row * op.dy.cols,
                             op.dx.data + row * op.dx.cols);
    }
  });
}

}  // namespace ae::cpu
