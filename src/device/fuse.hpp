#pragma once

#include "step/step.hpp"

namespace ae {

/// Replaces neighbouring operations on the same memory by one that does the same in one pass:
///   SparsityBackward (penalty), SparsityBackward (top_k), ActivationBackward → SparsityBackward
///   DenseBackward, ActivationBackward of the dense layer below                → DenseBackward
/// The new operation stands where the first of them stood.
[[nodiscard]] Step fuse(const Step& step);
/// The same into an existing step, to reuse its memory.
void fuse(const Step& step, Step& fused);

}  // namespace ae
