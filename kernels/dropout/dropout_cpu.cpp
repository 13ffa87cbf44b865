#include "cpu/planner.hpp"
#include "dropout/dropout.hpp"
#include "dropout/dropout_simd.hpp"

namespace ae::cpu {

namespace {

void plan_drop(const DropoutMask& mask, const ConstMatrix& from, const Matrix& to,
               Planner& planner) {
  planner.each_panel([=, &simd = dropout_simd(planner.instruction_set())](const Panel& panel) {
    const std::int64_t offset = panel.begin * to.cols;
    simd.drop(mask.rate,
              stream_of_step(mask.seed, RandomPurpose::dropout, mask.step.data, mask.layer), offset,
              from.data + offset, to.data + offset, panel.rows * to.cols);
  });
}

}  // namespace

void plan(const DropoutForward& op, Planner& planner) {
  planner.begin_rows(op.y.rows);
  plan_drop(op.mask, op.x, op.y, planner);
}

void plan(const DropoutBackward& op, Planner& planner) {
  planner.begin_gradients(op.dx.rows);
  plan_drop(op.mask, op.dy, op.dx, planner);
}

}  // namespace ae::cpu
