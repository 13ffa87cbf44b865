#pragma once

#include <concepts>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace ae::cli {

/// One line of a configuration file: an option's name and its value as a flag would have it.
struct ConfigValue {
  std::string key;
  std::string text;
  bool is_flag = false;  ///< true or false
  bool is_list = false;
  std::size_t line = 0;
};

/// The values of a TOML file, in its order. @throws Error if it cannot be read, UsageError if it is
/// not TOML or has tables.
std::vector<ConfigValue> read_config(const std::filesystem::path& path);

/// The same of text that is already there; `source` names it in messages.
std::vector<ConfigValue> parse_config(const std::string& source, std::string_view text);

/// "text" with what TOML reserves escaped; bytes that are no UTF-8 as io::to_utf8 has them, which
/// parse_config takes back.
std::string quoted_toml(std::string_view text);

/// A number that TOML takes for a float: with a point or an exponent.
template <std::floating_point Float>
std::string toml_float(Float value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

}  // namespace ae::cli
