#include "pool/pool_cpu.hpp"
#include "pool/upsample.hpp"

namespace ae::cpu {

namespace {

Windows windows_of(const ImageShape& small, std::int64_t factor) {
  return {small.height * factor, small.width * factor, small.channels, factor};
}

}  // namespace

void plan(const UpsampleForward& op, Planner& planner) {
  plan_images(op.x.rows, planner, [op](const PoolSimd& simd, std::int64_t row) {
    simd.upsample(windows_of(op.input, op.factor), op.x.data + row * op.x.cols,
                  op.y.data + row * op.y.cols);
  });
}

void plan(const UpsampleBackward& op, Planner& planner) {
  plan_images(op.dx.rows, planner, [op](const PoolSimd& simd, std::int64_t row) {
    simd.upsample_gradient(windows_of(op.input, op.factor), op.dy.data + row * op.dy.cols,
                           op.dx.data + row * op.dx.cols);
  });
}

}  // namespace ae::cpu
