// How much scratch the kernels of column_sums.cuh need, for the narrower of their two widths: it
// has the more blocks. Besides the blocks' sums of the columns, those of all blocks, to be folded.

#include "common/column_sums.cuh"
#include "kernels.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

ColumnSumScratchSizes column_sum_scratch(std::int64_t rows, std::int64_t cols) {
  const LaunchShape shape = column_sum_shape(rows, cols, 1);
  const std::int64_t stripes = shape.grid.x;
  const std::int64_t row_blocks = shape.grid.y;
  return {(row_blocks + 1) * cols, row_blocks * stripes, stripes + 1};
}

}  // namespace ae::AE_DEVICE_NAMESPACE
