#pragma once

#include <string_view>

#include <nlohmann/json.hpp>

namespace ae::io {

/// Parses JSON that may be hostile: in time and memory proportional to its length, whose bound is
/// the caller's business. What we read is an object of objects of arrays, so deep nesting is
/// refused, and so is a key that an object has twice.
/// @throws Error that says what is wrong with it, as "is nested too deeply".
nlohmann::json parse_untrusted_json(std::string_view text);

}  // namespace ae::io
