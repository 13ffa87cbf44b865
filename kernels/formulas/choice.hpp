#pragma once

/// Formulas of one kind, each a type with its enumerator `kKind` and its name `kName`, and the way
/// from a value known when the program runs to the type that kernels are compiled for.
namespace ae {

template <typename... Formulas>
struct FormulaList {};

/// Calls body.template operator()<Formula>() for the formula of that kind.
template <typename Kind, typename Body, typename... Formulas>
[[gnu::always_inline]] inline void for_formula(Kind kind, FormulaList<Formulas...> /*all*/,
                                               const Body& body) {
  static_cast<void>(
      ((kind == Formulas::kKind ? (body.template operator()<Formulas>(), true) : false) || ...));
}

}  // namespace ae
