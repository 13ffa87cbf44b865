#pragma once

#include "step/step.hpp"

namespace ae {

/// The step with operations in it that do what several did, in one pass over the same memory:
///   SparsityBackward (penalty), SparsityBackward (top_k), ActivationBackward → SparsityBackward
///   DenseBackward, ActivationBackward of the dense layer below                → DenseBackward
/// Each takes the place of the first of those that it replaces.
[[nodiscard]] Step fuse(const Step& step);
/// The same into a step whose memory is used again.
void fuse(const Step& step, Step& fused);

}  // namespace ae
