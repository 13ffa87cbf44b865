#include "pool/max_pool.hpp"
#include "pool/pool_cpu.hpp"

namespace ae::cpu {

namespace {

Windows windows_of(const ImageShape& large, std::int64_t size) {
  return {large.height, large.width, large.channels, size};
}

}  // namespace

void plan(const MaxPoolForward& op, Planner& planner) {
  plan_images(op.x.rows, planner, [op](const PoolSimd& simd, std::int64_t row) {
    simd.max_pool(windows_of(op.input, op.size), op.x.data + row * op.x.cols,
                  op.y.data + row * op.y.cols);
  });
}

void plan(const MaxPoolBackward& op, Planner& planner) {
  plan_images(op.x.rows, planner, [op](const PoolSimd& simd, std::int64_t row) {
    simd.max_pool_gradient(windows_of(op.input, op.size), op.x.data + row * op.x.cols,
                           op.dy.data + row * op.dy.cols, op.dx.data + row * op.dx.cols);
  });
}

}  // namespace ae::cpu
