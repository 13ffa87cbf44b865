#include "device/fuse.hpp"

#include <optional>
#include <utility>
#include <variant>

namespace ae {

namespace {

/// The second operation's activation becomes that of the first.
template <typename From>
Op with_activation(SparsityBackward op, const From& from) {
  op.activation = from.activation;
  op.z = from.z;
  op.dbias = from.dbias;
  return op;
}

/// A code's penalty, and what its top_k lets through; or either, and the activation before them.
std::optional<Op> fused(const SparsityBackward& first, const Op& next) {
  if (first.dbias.exists()) return std::nullopt;  // it has its activation
  if (const auto* mask = std::get_if<SparsityBackward>(&next)) {
    if (mask->dy.data != first.dy.data || first.kept_largest || mask->sparsity.is_on()) {
      return std::nullopt;
    }
    SparsityBackward both = first;
    both.kept_largest = mask->kept_largest;
    return with_activation(both, *mask);
  }
  const auto* activation = std::get_if<ActivationBackward>(&next);
  if (activation == nullptr || activation->dy.data != first.dy.data ||
      activation->channels != activation->y.cols) {
    return std::nullopt;
  }
  return with_activation(first, *activation);
}

/// The gradient of a dense layer's input, and the activation of the dense layer that made it.
std::optional<Op> fused(const DenseBackward& above, const Op& next) {
  const auto* below = std::get_if<ActivationBackward>(&next);
  if (below == nullptr || above.dbias_below.exists() || below->dy.data != above.dx.data ||
      below->y.data != above.x.data || below->channels != below->y.cols) {
    return std::nullopt;
  }
  DenseBackward both = above;
  both.activation_below = below->activation;
  both.z_below = below->z;
  both.dbias_below = below->dbias;
  return both;
}

template <typename Operation>
std::optional<Op> fused(const Operation& /*first*/, const Op& /*next*/) {
  return std::nullopt;
}

}  // namespace

void fuse(const Step& step, Step& result) {
  result.clear();
  std::optional<Node> last;
  for (const Node& node : step.nodes()) {
    if (last) {
      if (std::optional<Op> both =
              std::visit([&](const auto& op) { return fused(op, node.op); }, last->op)) {
        last->op = *std::move(both);
        continue;
      }
      result.add_checked(*std::move(last));
    }
    last = node;
  }
  if (last) result.add_checked(*std::move(last));
}

Step fuse(const Step& step) {
  Step result;
  fuse(step, result);
  return result;
}

}  // namespace ae
