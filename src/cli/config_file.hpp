#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace ae::cli {

/// One line of a configuration file: an option's name and its value as a flag would have it.
struct ConfigValue {
  std::string key;
  std::string text;
  bool is_flag = false;  ///< true or false
  std::size_t line = 0;
};

/// The values of a TOML file, in its order. @throws Error if it cannot be read, UsageError if it is
/// not TOML or has tables.
std::vector<ConfigValue> read_config(const std::filesystem::path& path);

/// The same of text that is already there; `source` names it in messages.
std::vector<ConfigValue> parse_config(const std::string& source, std::string_view text);

/// "text" with what TOML reserves escaped.
std::string quoted_toml(std::string_view text);

}  // namespace ae::cli
