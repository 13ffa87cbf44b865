#include "dense/transpose_cpu.hpp"

#include "dense/transpose.hpp"

namespace ae::cpu {

void plan(const Transpose& op, Planner& planner) {
  const TransposeSimd& simd = transpose_simd(planner.instruction_set());
  planner.update([op, &simd](Workers& workers, const StepMemory& /*memory*/) {
    workers.for_each(transpose_stripes(op.from), [&](std::int64_t stripe) {
      transpose_stripe(op.from, stripe, op.add, op.to.data, simd);
    });
  });
}

}  // namespace ae::cpu
