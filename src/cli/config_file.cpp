#include "cli/config_file.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "ae/error.hpp"

#include "io/file.hpp"
#include "io/utf8.hpp"

namespace ae::cli {

namespace {

std::string flag_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return io::from_utf8(text->get());
  if (const auto* number = node.as_integer()) return fmt::format("{}", number->get());
  if (const auto* number = node.as_floating_point()) return toml_float(number->get());
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  if (const auto* list = node.as_array()) {
    std::string text;
    for (const toml::node& item : *list) {
      if (!text.empty()) text.push_back(',');
      text.append(flag_text(item));
    }
    return text;
  }
  throw UsageError(
      fmt::format("line {} is neither text, number, truth value nor list; options stand "
                  "at the top, without tables",
                  node.source().begin.line));
}

}  // namespace

std::vector<ConfigValue> read_config(const std::filesystem::path& path) {
  const std::vector<std::byte> bytes = io::read_file(path);
  return parse_config(path.string(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::vector<ConfigValue> parse_config(const std::string& source, std::string_view text) {
  std::vector<ConfigValue> values;
  try {
    for (const auto& [key, node] : toml::parse(text)) {
      values.push_back({.key = std::string(key.str()),
                        .text = flag_text(node),
                        .is_flag = node.is_boolean(),
                        .is_list = node.is_array(),
                        .line = node.source().begin.line});
    }
  } catch (const toml::parse_error& error) {
    throw UsageError(fmt::format("{}, line {}: this is not TOML: {}", source,
                                 error.source().begin.line, error.description()));
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("{}: {}", source, error.what()));
  }
  std::sort(values.begin(), values.end(),
            [](const ConfigValue& a, const ConfigValue& b) { return a.line < b.line; });
  return values;
}

std::string quoted_toml(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : io::to_utf8(text)) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      quoted += fmt::format("\\u{:04X}", static_cast<unsigned char>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace ae::cli
