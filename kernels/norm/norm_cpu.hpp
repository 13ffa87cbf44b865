#pragma once

#include "cpu/planner.hpp"
#include "norm/norm_tile.hpp"

namespace ae::cpu {

/// The rows of a panel, as groups.
template <typename Operation>
NormTile norm_tile(const Operation& op, const float* statistics, const Panel& panel) {
  const std::int64_t groups = op.channels == 0 ? 0 : panel.rows * op.x.cols / op.channels;
  return {op.activation,
          {op.x.data + panel.begin * op.x.cols, groups, op.channels, op.channels},
          op.gamma.data,
          op.beta.data,
          statistics};
}

}  // namespace ae::cpu
