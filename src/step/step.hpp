#pragma once

#include <span>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "ops.hpp"

namespace ae {

/// An operation, and the layer that it belongs to.
struct Node {
  Op op;
  std::string_view layer{};  ///< "encoder.0", for profiles and messages; outlives the node
};

/// What is done to a batch, in order: a training step, an evaluation, an inference. Plain data,
/// which a device compiles; layers add to it.
class Step {
 public:
  /// @throws std::logic_error if the operation's operands do not fit together.
  void add(Op op, std::string_view layer = {}) {
    std::visit([](const auto& checked) { checked.check(); }, op);
    nodes_.push_back({std::move(op), layer});
  }
  /// A node of another step, or made of such nodes: their operands fit.
  void add_checked(Node node) { nodes_.push_back(std::move(node)); }
  void clear() { nodes_.clear(); }

  [[nodiscard]] std::span<const Node> nodes() const { return nodes_; }

 private:
  std::vector<Node> nodes_;
};

/// Calls `visit` for the operands that exist.
template <typename Visit>
struct PresentOperands {
  const Visit& visit;

  void operator()(ResidentData* const& /*data*/) const {}
  template <typename T>
  void operator()(Operand operand, T& tensor) const {
    if (tensor.exists()) visit(operand, tensor);
  }
};

/// Calls visit(Operand, tensor) for each operand of an operation that exists.
template <typename Operation, typename Visit>
void for_each_operand(const Operation& op, const Visit& visit) {
  Operation::operands(op, PresentOperands<Visit>{visit});
}

}  // namespace ae
