#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "formulas/choice.hpp"

namespace ae {

/// The names of an enumeration's values, as options and files have them.
template <typename Enum, std::size_t kSize>
using Names = std::array<std::pair<Enum, std::string_view>, kSize>;

template <typename... Formulas>
constexpr auto names_of(FormulaList<Formulas...> /*all*/) {
  return std::array{std::pair{Formulas::kKind, std::string_view(Formulas::kName)}...};
}

/// "relu, elu, …".
template <typename Enum, std::size_t kSize>
std::string list_of(const Names<Enum, kSize>& names) {
  std::string list;
  for (const auto& [value, name] : names) list += (list.empty() ? "" : ", ") + std::string(name);
  return list;
}

template <typename Enum, std::size_t kSize>
std::string_view name_of(const Names<Enum, kSize>& names, Enum value) {
  for (const auto& [known, name] : names) {
    if (known == value) return name;
  }
  return "unknown";
}

/// @throws UsageError for a number that was cast to the enumeration and is none of its values.
template <typename Enum, std::size_t kSize>
void require_known(const Names<Enum, kSize>& names, std::string_view what, Enum value) {
  for (const auto& [known, name] : names) {
    if (known == value) return;
  }
  throw UsageError(fmt::format("there is no {} number {}, choose one of {}", what,
                               static_cast<int>(value), list_of(names)));
}

/// @throws UsageError that lists the names there are; `what` is "activation".
template <typename Enum, std::size_t kSize>
Enum value_of(const Names<Enum, kSize>& names, std::string_view what, std::string_view wanted) {
  for (const auto& [known, name] : names) {
    if (name == wanted) return known;
  }
  throw UsageError(
      fmt::format("there is no {} '{}', choose one of {}", what, wanted, list_of(names)));
}

}  // namespace ae
