#pragma once

#include <cstdint>
#include <string_view>

#include "common/operation.hpp"
#include "core/operand.hpp"
#include "core/tensor.hpp"

namespace ae {

/// The k largest values of each row stay, the others become zero, in place; of equal ones the first
/// stay. NaN is larger than any number. k ≥ cols changes nothing. Source: Makhzani & Frey,
/// "k-sparse autoencoders", ICLR 2014.
struct KeepLargest {
  static constexpr std::string_view kName = "keep largest";

  std::int64_t k = 0;
  Matrix y{};

  static void operands(auto& op, auto&& visit) { visit(in_out("y"), op.y); }
  void check() const { require(k >= 0, kName, "k is negative"); }
};

AE_OPERATION(KeepLargest)

}  // namespace ae
