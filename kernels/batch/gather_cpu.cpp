#include <algorithm>

#include "batch/gather.hpp"
#include "batch/gather_simd.hpp"
#include "cpu/planner.hpp"

namespace ae::cpu {

namespace {

/// How many rows ahead a gather asks for.
constexpr std::int64_t kPrefetchRows = 4;

/// Shuffled rows lie anywhere in memory: asked for some rows early, they arrive in time.
void prefetch(const std::uint8_t* row, std::int64_t bytes) {
  for (std::int64_t offset = 0; offset < bytes; offset += 64) __builtin_prefetch(row + offset);
}

/// x[i, :] = data[row_of(i), :] for the panel's rows i, converted.
template <typename RowOf>
void gather(const ResidentData& data, const GatherSimd& simd, const Matrix& x, const Panel& panel,
            const RowOf& row_of) {
  const std::int64_t cols = x.cols;
  const std::int64_t end = panel.begin + panel.rows;
  if (const std::uint8_t* const bytes = data.bytes(); bytes != nullptr) {
    for (std::int64_t i = panel.begin; i < end; ++i) {
      if (i + kPrefetchRows < end) prefetch(bytes + row_of(i + kPrefetchRows) * cols, cols);
      simd.convert_bytes(bytes + row_of(i) * cols, x.data + i * cols, cols);
    }
  } else {
    const float* const floats = data.floats();
    for (std::int64_t i = panel.begin; i < end; ++i) {
      std::copy_n(floats + row_of(i) * cols, cols, x.data + i * cols);
    }
  }
}

}  // namespace

void plan(const GatherBatch& op, Planner& planner) {
  planner.begin_rows(op.x.rows);
  planner.each_panel([op, &simd = gather_simd(planner.instruction_set())](const Panel& panel) {
    const std::int32_t* chosen =
        op.permutation.data + *op.step.data % op.steps_per_epoch * op.batch_size;
    gather(*op.data, simd, op.x, panel, [=](std::int64_t i) { return std::int64_t{chosen[i]}; });
  });
}

void plan(const GatherRows& op, Planner& planner) {
  planner.begin_rows(op.x.rows);
  planner.each_panel([op, &simd = gather_simd(planner.instruction_set())](const Panel& panel) {
    gather(*op.data, simd, op.x, panel, [&](std::int64_t i) { return op.first_row + i; });
  });
}

}  // namespace ae::cpu
