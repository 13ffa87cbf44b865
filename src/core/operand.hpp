#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace ae {

/// What an operation does with an operand.
enum class Access : std::uint8_t { in, out, in_out };

/// The name and direction of an operand. Every operation has a function
///   static void operands(auto& op, auto&& visit)
/// that calls visit(Operand, tensor) for each operand, absent ones included, and
/// visit(ResidentData*&) for the data set that it reads.
struct Operand {
  std::string_view name;
  Access access;

  [[nodiscard]] bool is_read() const { return access != Access::out; }
  [[nodiscard]] bool is_written() const { return access != Access::in; }
};

constexpr Operand in(std::string_view name) {
  return {name, Access::in};
}
constexpr Operand out(std::string_view name) {
  return {name, Access::out};
}
constexpr Operand in_out(std::string_view name) {
  return {name, Access::in_out};
}

/// For an operation's check(). @throws std::logic_error if what it needs does not hold.
inline void require(bool holds, std::string_view op, std::string_view what) {
  if (!holds) throw std::logic_error(std::string(op).append(": ").append(what));
}

}  // namespace ae
