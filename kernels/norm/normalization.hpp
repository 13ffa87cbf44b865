#pragma once

#include <cstdint>

#include "core/operand.hpp"
#include "core/tensor.hpp"

/// What layer_norm and batch_norm have in common.
namespace ae {

/// How many groups of channels, or values of a channel, an operation normalises.
template <typename Normalization>
std::int64_t normalized_groups(const Normalization& op) {
  return op.channels == 0 ? 0 : op.x.size() / op.channels;
}

/// @throws std::logic_error unless `channels` divide the rows, and scale and shift are theirs.
template <typename Normalization>
void require_normalizable(const Normalization& op) {
  require(op.channels == 0 ? op.x.size() == 0 : op.x.cols % op.channels == 0, op.kName,
          "the channels do not divide a row");
  require(op.gamma.size() == op.channels && op.beta.size() == op.channels, op.kName,
          "scale or shift is not one a channel");
  require(op.y.rows == op.x.rows && op.y.cols == op.x.cols, op.kName, "x and y differ in shape");
}

}  // namespace ae
