#include "cli/options.hpp"

#include <algorithm>
#include <concepts>
#include <cstdio>
#include <limits>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ae/error.hpp"

#include "cli/config_file.hpp"
#include "cli/output.hpp"
#include "cli/recipes.hpp"
#include "cli/suggest.hpp"
#include "io/numbers.hpp"

namespace ae::cli {

namespace {

std::string toml_text(const std::string& value) {
  return quoted_toml(value);
}
std::string toml_text(const std::filesystem::path& value) {
  return quoted_toml(value.string());
}
std::string toml_text(bool value) {
  return value ? "true" : "false";
}
template <typename Integer>
requires std::integral<Integer> std::string toml_text(Integer value) {
  // TOML's integers have 64 bits with a sign; a larger one is read from text.
  const std::string digits = std::to_string(value);
  return std::cmp_greater(value, std::numeric_limits<std::int64_t>::max()) ? quoted_toml(digits)
                                                                           : digits;
}
std::string toml_text(float value) {
  return toml_float(value);
}
std::string toml_text(const std::vector<std::int64_t>& value) {
  return fmt::format("[{}]", fmt::join(value, ", "));
}
std::string toml_text(const std::vector<std::string>& value) {
  std::string text;
  for (const std::string& item : value) text += (text.empty() ? "" : ", ") + quoted_toml(item);
  return fmt::format("[{}]", text);
}

/// A default as help shows it.
template <typename Value>
std::string help_text(const Value& value) {
  if constexpr (std::is_same_v<Value, std::string>)
    return value;
  else if constexpr (std::is_same_v<Value, std::filesystem::path>)
    return value.string();
  else if constexpr (std::is_same_v<Value, float>)
    return fmt::format("{:g}", value);
  else if constexpr (std::is_same_v<Value, std::vector<std::int64_t>> ||
                     std::is_same_v<Value, std::vector<std::string>>)
    return fmt::format("{}", fmt::join(value, ","));
  else
    return fmt::format("{}", value);
}

/// What stands between commas, without the blanks around it.
std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> items;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    std::string_view item = text.substr(begin, comma - begin);
    item.remove_prefix(std::min(item.find_first_not_of(' '), item.size()));
    item = item.substr(0, item.find_last_not_of(' ') + 1);
    items.emplace_back(item);
    begin = comma + 1;
  }
  return items;
}

// What an option makes of the text that was given for it.

void read_value(const std::string& /*what*/, const std::string& text, std::string& value) {
  value = text;
}
void read_value(const std::string& /*what*/, const std::string& text,
                std::filesystem::path& value) {
  value = text;
}
void read_value(const std::string& what, const std::string& text, bool& value) {
  if (text != "true" && text != "false") {
    throw UsageError(fmt::format("{} is '{}', it must be true or false", what, text));
  }
  value = text == "true";
}
template <typename Integer>
requires std::integral<Integer>
void read_value(const std::string& what, const std::string& text, Integer& value) {
  value = io::require_integer<Integer>(what, text);
}
void read_value(const std::string& what, const std::string& text, float& value) {
  value = io::require_float(what, text);
}
void read_value(const std::string& what, const std::string& text,
                std::vector<std::int64_t>& value) {
  value.clear();
  for (const std::string& item : split_list(text)) {
    const auto number = io::to_integer<std::int64_t>(item);
    if (!number) {
      throw UsageError(fmt::format(
          "{} is '{}', it must be whole numbers with commas between them, like 128,64,32", what,
          text));
    }
    value.push_back(*number);
  }
}
void read_value(const std::string& /*what*/, const std::string& text,
                std::vector<std::string>& value) {
  value = split_list(text);
}

template <typename Value>
constexpr bool kIsList = std::is_same_v<Value, std::vector<std::int64_t>> ||
                         std::is_same_v<Value, std::vector<std::string>>;

/// Columns of a terminal, and where descriptions begin.
constexpr std::size_t kHelpWidth = 80;
constexpr std::size_t kHelpColumn = 28;

/// The columns that UTF-8 text of single-width characters takes.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

/// An option and what it means, which goes on in a further line where one is too short.
std::string help_lines(const std::string& left, std::string_view description) {
  std::string text;
  const std::size_t left_width = width_of(left);
  std::string line = left + std::string(std::max(kHelpColumn, left_width + 1) - left_width, ' ');
  bool is_first_word = true;
  while (!description.empty()) {
    const std::size_t end = std::min(description.find(' '), description.size());
    const std::string_view word = description.substr(0, end);
    description.remove_prefix(std::min(end + 1, description.size()));
    if (!is_first_word && width_of(line) + 1 + width_of(word) > kHelpWidth) {
      text += line + '\n';
      line = std::string(kHelpColumn, ' ');
      is_first_word = true;
    }
    if (!is_first_word) line += ' ';
    line += word;
    is_first_word = false;
  }
  return text + line + '\n';
}

bool asks_for_help(const std::string& argument) {
  return argument == "--help" || argument == "-h";
}

}  // namespace

Options::Options(std::string usage, std::string summary)
    : usage_(std::move(usage)), summary_(std::move(summary)) {
  sources_.push_back(
      {.name = "config",
       .placeholder = "FILE",
       .description = "take options from a TOML file; flags win over it",
       .read = [this](const std::string&, const std::string& text) { config_ = text; }});
}

void Options::add_recipes() {
  sources_.push_back(
      {.name = "recipe",
       .placeholder = "NAME",
       .description = fmt::format("ready-made: {}", fmt::join(recipe_names(), ", ")),
       .read = [this](const std::string&, const std::string& text) { recipe_ = text; }});
}

template <typename Value>
void Options::add(const std::string& name, Value& value, const std::string& placeholder,
                  const std::string& description) {
  entries_.push_back({.group = group_,
                      .name = name,
                      .placeholder = placeholder,
                      .description = description,
                      .default_text = help_text(value),
                      .kind = kIsList<Value> ? Kind::list : Kind::value,
                      .read = [&value](const std::string& what,
                                       const std::string& text) { read_value(what, text, value); },
                      .toml_value = [&value] { return toml_text(value); }});
}

template void Options::add(const std::string&, std::string&, const std::string&,
                           const std::string&);
template void Options::add(const std::string&, std::filesystem::path&, const std::string&,
                           const std::string&);
template void Options::add(const std::string&, int&, const std::string&, const std::string&);
template void Options::add(const std::string&, std::int64_t&, const std::string&,
                           const std::string&);
template void Options::add(const std::string&, std::uint64_t&, const std::string&,
                           const std::string&);
template void Options::add(const std::string&, float&, const std::string&, const std::string&);
template void Options::add(const std::string&, std::vector<std::int64_t>&, const std::string&,
                           const std::string&);
template void Options::add(const std::string&, std::vector<std::string>&, const std::string&,
                           const std::string&);

void Options::add_flag(const std::string& name, bool& value, const std::string& description) {
  add(name, value, "", description);
  entries_.back().default_text.clear();
  entries_.back().kind = Kind::flag;
}

void Options::add_argument(const std::string& name, std::filesystem::path& value,
                           const std::string& description) {
  arguments_.push_back(
      {.name = name,
       .description = description,
       .read = [&value](const std::string&, const std::string& text) { value = text; }});
}

void Options::add_optional_argument(const std::string& name, std::filesystem::path& value,
                                    const std::string& description) {
  add_argument(name, value, description);
  arguments_.back().is_optional = true;
}

void Options::add_example(const std::string& command) {
  examples_.push_back(command);
}

Options::Entry* Options::find(std::vector<Entry>& entries, std::string_view name) {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const Entry& entry) { return entry.name == name; });
  return found == entries.end() ? nullptr : &*found;
}

std::vector<std::string> Options::names(const std::vector<Entry>& entries) {
  std::vector<std::string> all;
  for (const Entry& entry : entries) all.push_back(entry.name);
  return all;
}

std::string Options::see_help() const {
  return fmt::format("; see ae {} --help", usage_.substr(0, usage_.find(' ')));
}

std::vector<Options::Assignment> Options::split(const std::vector<std::string>& arguments) {
  std::vector<Assignment> all;
  auto expected = arguments_.begin();
  bool options_end = false;
  for (auto argument = arguments.begin(); argument != arguments.end(); ++argument) {
    if (*argument == "--" && !options_end) {
      options_end = true;
      continue;
    }
    if (options_end || argument->size() < 2 || argument->front() != '-') {
      if (expected == arguments_.end()) {
        throw UsageError(fmt::format("'{}' is one argument too many{}", *argument, see_help()));
      }
      all.push_back({&*expected++, *argument});
      continue;
    }
    const std::size_t equals = argument->find('=');
    const std::string flag = argument->substr(0, equals);
    const std::string name = flag.substr(std::min(flag.find_first_not_of('-'), flag.size()));
    Entry* entry = find(entries_, name);
    if (entry == nullptr) entry = find(sources_, name);
    if (entry == nullptr || flag != "--" + name) {
      std::vector<std::string> known = names(entries_);
      for (std::string& source : names(sources_)) known.push_back(std::move(source));
      known.emplace_back("help");
      throw UsageError(fmt::format("there is no option {}{}{}", flag,
                                   did_you_mean(name, known, "--"), see_help()));
    }
    std::string text;
    if (equals != std::string::npos) {
      text = argument->substr(equals + 1);
    } else if (entry->kind == Kind::flag) {
      text = "true";
    } else if (argument + 1 != arguments.end() && !(argument + 1)->starts_with("--")) {
      text = *++argument;  // one that begins with dashes could be a value that was forgotten
    }
    if (text.empty()) {
      const std::string value = entry->kind == Kind::flag ? "true" : entry->placeholder;
      throw UsageError(fmt::format("{0} needs a value, write {0}={1}{2}", flag, value, see_help()));
    }
    all.push_back({entry, std::move(text)});
  }
  if (expected != arguments_.end() && !expected->is_optional) {
    throw UsageError(
        fmt::format("{} is missing: {}{}", expected->name, expected->description, see_help()));
  }
  return all;
}

void Options::read_file(const std::string& source, const std::vector<ConfigValue>& values) {
  for (const ConfigValue& value : values) {
    const auto refuse = [&](const std::string& why) {
      throw UsageError(fmt::format("{}, line {}: {}", source, value.line, why));
    };
    if (value.key == "config") refuse("'config' goes on the command line, not into a file");
    Entry* entry = find(entries_, value.key);
    if (entry == nullptr) entry = find(sources_, value.key);
    if (entry == nullptr) {
      std::vector<std::string> known = names(entries_);
      if (find(sources_, "recipe") != nullptr) known.emplace_back("recipe");
      refuse(
          fmt::format("there is no option '{}'{}", value.key, did_you_mean(value.key, known, "")));
    }
    if (entry->kind == Kind::flag && !value.is_flag) {
      refuse(fmt::format("'{}' is true or false, not {}", value.key, value.text));
    }
    if (entry->kind != Kind::flag && value.is_flag) {
      refuse(
          fmt::format("'{}' takes a value ({}), not true or false", value.key, entry->placeholder));
    }
    if (entry->kind == Kind::value && value.is_list) {
      refuse(fmt::format("'{}' takes one value ({}), not a list", value.key, entry->placeholder));
    }
    if (value.text.empty()) {
      refuse(fmt::format("'{}' is empty, give it a value or leave it out", value.key));
    }
    try {
      entry->read("--" + value.key, value.text);
    } catch (const UsageError& error) {
      refuse(error.what());
    }
    entry->is_given = true;
  }
}

bool Options::parse(const std::vector<std::string>& arguments) {
  if (std::any_of(arguments.begin(), arguments.end(), asks_for_help)) {
    print_help();
    return false;
  }
  const std::vector<Assignment> given = split(arguments);
  const auto is_source = [&](const Entry* entry) { return find(sources_, entry->name) == entry; };
  for (const auto& [entry, text] : given) {
    if (is_source(entry)) entry->read("--" + entry->name, text);
  }
  std::vector<ConfigValue> from_file;
  if (!config_.empty()) from_file = read_config(config_);
  if (recipe_.empty() && find(sources_, "recipe") != nullptr) {
    for (const ConfigValue& value : from_file) {
      const bool is_name = !value.is_flag && !value.is_list;  // else read_file says so
      if (value.key == "recipe" && is_name) recipe_ = value.text;
    }
  }
  // Each wins over those before it.
  if (!recipe_.empty()) {
    const std::string source = "recipe " + recipe_;
    read_file(source, parse_config(source, recipe_text(recipe_)));
  }
  read_file(config_, from_file);
  for (const auto& [entry, text] : given) {
    entry->read("--" + entry->name, text);
    entry->is_given = true;
  }
  return true;
}

bool Options::given(const std::string& name) const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const Entry& entry) { return entry.name == name && entry.is_given; });
}

std::string Options::to_toml() const {
  std::string text;
  std::string group;
  for (const Entry& entry : entries_) {
    const std::string value = entry.toml_value();
    if (value == quoted_toml("") || value == "[]")
      continue;  // not given, and no default that a file could name
    if (entry.group != group) {
      text += fmt::format("{}# {}\n", group.empty() ? "" : "\n", entry.group);
      group = entry.group;
    }
    text += fmt::format("{} = {}\n", entry.name, value);
  }
  return text;
}

void Options::print_help() const {
  std::string text = fmt::format("{}\n\nUsage: ae {}\n", summary_, usage_);
  for (const Entry& argument : arguments_) {
    text += help_lines("  " + argument.name, argument.description);
  }
  const auto add_lines = [&](const Entry& entry) {
    const std::string shown =
        entry.default_text.empty() ? "" : fmt::format(" [{}]", entry.default_text);
    text += help_lines(fmt::format("  --{} {}", entry.name, entry.placeholder),
                       entry.description + shown);
  };
  std::string group;
  for (const Entry& entry : entries_) {
    if (entry.group != group) {
      group = entry.group;
      text += fmt::format("\n{}:\n", group);
    }
    add_lines(entry);
  }
  text += '\n';
  std::for_each(sources_.rbegin(), sources_.rend(), add_lines);
  text += help_lines("  --help", "print this");
  text += "\nExamples:\n";
  for (const std::string& example : examples_) text += fmt::format("  {}\n", example);
  print(text);
}

void DataOptions::add_to(Options& options) {
  options.add("data", data, "NAME|PATH",
              fmt::format("mnist, fashion-mnist, or an IDX or .npy file{}",
                          data.empty() ? " [what the model was trained on]" : ""));
  options.add("data-dir", data_dir, "DIR", "of named data; else $AE_DATA_DIR, ~/.cache/ae");
  options.add("limit", limit, "N", "first N rows only, of test data too; 0: all");
}

std::filesystem::path DataOptions::directory() const {
  return data_dir.empty() ? default_data_directory() : data_dir;
}

void add_device_options(Options& options, DeviceOptions& device) {
  options.add("device", device.device, "NAME", "auto, cpu, cuda:N, simt (emulated), check");
  options.add("precision", device.precision, "NAME", "of products on a GPU: fp32, tf32");
  options.add("gemm", device.gemm, "NAME", "of products on a GPU: cublas, cublaslt");
  options.add("convolution", device.convolution, "NAME",
              "on a GPU: auto, cudnn, own (our kernels)");
  options.add("gpu-memory", device.gpu_memory, "MIB",
              "use at most this much; 0 is all that is free");
  device.on_check = [](const std::string& table) { std::fputs(table.c_str(), stderr); };
  // Once, however many devices a command makes, one after the other.
  device.on_notice = [shown = std::make_shared<std::set<std::string>>()](const std::string& line) {
    if (shown->insert(line).second) print_note(line);
  };
  if (stderr_has_live_lines()) {
    device.on_upload = [](std::size_t done, std::size_t bytes) {
      std::fputs(fmt::format("\rcopying the data to the GPU: {} %{}", 100 * done / bytes,
                             done == bytes ? "\n" : "")
                     .c_str(),
                 stderr);
    };
  }
  options.add("threads", device.threads, "N", "CPU threads; 0 takes every core");
}

std::int64_t most_rows(std::int64_t limit) {
  if (limit < 0) {
    throw UsageError(fmt::format("--limit is {}, it must be at least 1, or 0 for all rows", limit));
  }
  return limit == 0 ? -1 : limit;
}

}  // namespace ae::cli
