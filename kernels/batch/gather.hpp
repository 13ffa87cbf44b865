#pragma once

#include <cstdint>
#include <string_view>

#include "common/operation.hpp"
#include "core/operand.hpp"
#include "core/resident_data.hpp"
#include "core/tensor.hpp"

namespace ae {

/// The next batch of an epoch, chosen by a counter in device memory so that one compiled step
/// serves every batch:
///   x[i, :] = data[permutation[(step mod steps_per_epoch)·batch_size + i], :],  i < x.rows.
/// The short last batch of an epoch is a step of its own with fewer rows in x. Bytes become
/// value / 255.
struct GatherBatch {
  static constexpr std::string_view kName = "gather";

  ResidentData* data = nullptr;
  Tensor<const std::int32_t> permutation{};  ///< data->rows() row numbers
  Tensor<const std::int64_t> step{};         ///< steps done since training began
  std::int64_t steps_per_epoch = 0;
  std::int64_t batch_size = 0;
  Matrix x{};

  static void operands(auto& op, auto&& visit) {
    visit(op.data);
    visit(in("permutation"), op.permutation);
    visit(in("step"), op.step);
    visit(out("x"), op.x);
  }
  void check() const {
    require(data != nullptr && data->row_size() == x.cols, kName, "rows are not as wide as x");
    require(steps_per_epoch > 0, kName, "an epoch has no steps");
    require(x.rows <= batch_size, kName, "x has more rows than a batch");
  }
};

/// Consecutive rows: x[i, :] = data[first_row + i, :].
struct GatherRows {
  static constexpr std::string_view kName = "gather rows";

  ResidentData* data = nullptr;
  std::int64_t first_row = 0;
  Matrix x{};

  static void operands(auto& op, auto&& visit) {
    visit(op.data);
    visit(out("x"), op.x);
  }
  void check() const {
    require(data != nullptr && data->row_size() == x.cols, kName, "rows are not as wide as x");
    require(first_row >= 0 && first_row + x.rows <= data->rows(), kName, "there are no such rows");
  }
};

AE_OPERATION(GatherBatch)
AE_OPERATION(GatherRows)

}  // namespace ae
