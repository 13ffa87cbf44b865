#include <algorithm>

#include "cpu/planner.hpp"
#include "formulas/optimizers.hpp"
#include "optimizer/clip_scale.hpp"
#include "optimizer/clip_scale_simd.hpp"

namespace ae::cpu {

namespace {

constexpr std::int64_t kGradientsPerTask = 4096;

}  // namespace

void plan(const ClipScale& op, Planner& planner) {
  const std::int64_t tasks = pieces(op.gradients.size(), kGradientsPerTask);
  const RowSums partials = planner.row_sums(tasks, nullptr);
  const ClipScaleSimd& simd = clip_scale_simd(planner.instruction_set());
  planner.update([=, &simd](Workers& workers, const StepMemory& memory) {
    double* const sums = partials.of(memory);
    workers.for_each(tasks, [&](std::int64_t task) {
      const std::int64_t begin = task * kGradientsPerTask;
      sums[task] = simd.sum_of_squares(op.gradients.data + begin,
                                       std::min(kGradientsPerTask, op.gradients.size() - begin));
    });
    double squares = 0;
    for (std::int64_t task = 0; task < tasks; ++task) squares += sums[task];
    *op.scale.data = optimizers::clip_scale(squares, op.max_norm);
  });
}

}  // namespace ae::cpu
