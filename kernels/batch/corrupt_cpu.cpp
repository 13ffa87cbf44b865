#include "batch/corrupt.hpp"
#include "batch/corrupt_simd.hpp"
#include "cpu/planner.hpp"

namespace ae::cpu {

void plan(const CorruptBatch& op, Planner& planner) {
  planner.begin_rows(op.noisy.rows);
  planner.each_panel([op, &simd = corrupt_simd(planner.instruction_set())](const Panel& panel) {
    const std::int64_t cols = op.noisy.cols;
    const std::int64_t offset = panel.begin * cols;
    simd.corrupt(op.noise, stream_of_step(op.seed, RandomPurpose::noise, op.step.data),
                 op.first_row * cols + offset, op.clean.data + offset, op.noisy.data + offset,
                 panel.rows * cols);
  });
}

}  // namespace ae::cpu
