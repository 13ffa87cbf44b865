#include "cli/options.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ae/error.hpp"

#include "cli/config_file.hpp"
#include "cli/output.hpp"
#include "cli/recipes.hpp"
#include "cli/suggest.hpp"

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
  return std::to_string(value);
}
std::string toml_text(float value) {
  std::string text = fmt::format("{}", value);
  // TOML tells floats from integers by a point or an exponent.
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
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

std::vector<std::int64_t> parse_numbers(const std::string& name, const std::string& text) {
  std::vector<std::int64_t> values;
  for (const std::string& item : split_list(text)) {
    std::int64_t value = 0;
    const char* const end = item.data() + item.size();
    const auto [stopped, error] = std::from_chars(item.data(), end, value);
    if (error != std::errc() || stopped != end) {
      throw UsageError(fmt::format(
          "--{} is '{}', it must be whole numbers with commas between them, like 128,64,32", name,
          text));
    }
    values.push_back(value);
  }
  return values;
}

bool asks_for_help(const std::string& argument) {
  return argument == "--help" || argument == "-h";
}

/// The value of `option`, as "--config", in `arguments`, the last one if there are several.
std::string value_in(const std::vector<std::string>& arguments, const std::string& option) {
  std::string value;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (argument == option && i + 1 < arguments.size()) value = arguments[i + 1];
    if (argument.starts_with(option + "=")) value = argument.substr(option.size() + 1);
  }
  return value;
}

/// A configuration file's values stand before the flags, so the last one is the one that counts.
void take_last(CLI::Option* option) {
  option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

}  // namespace

struct Options::Parser {
  CLI::App app;
};

Options::Options(std::string usage, std::string summary)
    : usage_(std::move(usage)), summary_(std::move(summary)), parser_(std::make_unique<Parser>()) {
  parser_->app.set_help_flag();
  parser_->app.allow_extras();
}

Options::~Options() = default;

template <typename Value>
void Options::add_entry(const std::string& name, Value& value, const std::string& placeholder,
                        const std::string& description) {
  entries_.push_back({group_, name, placeholder, description, help_text(value),
                      [&value] { return toml_text(value); }, false});
}

void Options::add(const std::string& name, std::string& value, const std::string& placeholder,
                  const std::string& description) {
  add_entry(name, value, placeholder, description);
  take_last(parser_->app.add_option("--" + name, value));
}

void Options::add(const std::string& name, std::filesystem::path& value,
                  const std::string& placeholder, const std::string& description) {
  add_entry(name, value, placeholder, description);
  take_last(parser_->app.add_option_function<std::string>(
      "--" + name, [&value](const std::string& text) { value = text; }));
}

void Options::add(const std::string& name, std::int64_t& value, const std::string& placeholder,
                  const std::string& description) {
  add_entry(name, value, placeholder, description);
  take_last(parser_->app.add_option("--" + name, value));
}

void Options::add(const std::string& name, std::uint64_t& value, const std::string& placeholder,
                  const std::string& description) {
  add_entry(name, value, placeholder, description);
  take_last(parser_->app.add_option("--" + name, value));
}

void Options::add(const std::string& name, int& value, const std::string& placeholder,
                  const std::string& description) {
  add_entry(name, value, placeholder, description);
  take_last(parser_->app.add_option("--" + name, value));
}

void Options::add(const std::string& name, float& value, const std::string& placeholder,
                  const std::string& description) {
  add_entry(name, value, placeholder, description);
  take_last(parser_->app.add_option("--" + name, value));
}

void Options::add(const std::string& name, std::vector<std::int64_t>& value,
                  const std::string& placeholder, const std::string& description) {
  add_entry(name, value, placeholder, description);
  take_last(parser_->app.add_option_function<std::string>(
      "--" + name, [&value, name](const std::string& text) { value = parse_numbers(name, text); }));
}

void Options::add(const std::string& name, std::vector<std::string>& value,
                  const std::string& placeholder, const std::string& description) {
  add_entry(name, value, placeholder, description);
  take_last(parser_->app.add_option_function<std::string>(
      "--" + name, [&value](const std::string& text) { value = split_list(text); }));
}

void Options::add_flag(const std::string& name, bool& value, const std::string& description) {
  entries_.push_back(
      {group_, name, "", description, "", [&value] { return toml_text(value); }, true});
  take_last(parser_->app.add_flag("--" + name, value));
}

void Options::add_argument(const std::string& name, std::filesystem::path& value,
                           const std::string& description) {
  arguments_.push_back({"", name, "", description, "", {}, false});
  parser_->app
      .add_option_function<std::string>(name, [&value](const std::string& text) { value = text; })
      ->required();
}

void Options::add_example(const std::string& command) {
  examples_.push_back(command);
}

std::vector<std::string> Options::names() const {
  std::vector<std::string> all = {"config", "help"};
  if (has_recipes_) all.emplace_back("recipe");
  for (const Entry& entry : entries_) all.push_back(entry.name);
  return all;
}

std::vector<std::string> Options::config_arguments(const std::string& source,
                                                   const std::vector<ConfigValue>& values) const {
  std::vector<std::string> arguments;
  for (const ConfigValue& value : values) {
    const auto entry = std::find_if(entries_.begin(), entries_.end(),
                                    [&](const Entry& known) { return known.name == value.key; });
    if (entry == entries_.end()) {
      throw UsageError(fmt::format("{}, line {}: there is no option '{}'{}", source, value.line,
                                   value.key, did_you_mean(value.key, names(), "")));
    }
    if (entry->is_flag && !value.is_flag) {
      throw UsageError(fmt::format("{}, line {}: '{}' is true or false, not {}", source, value.line,
                                   value.key, value.text));
    }
    if (!entry->is_flag && value.is_flag) {
      throw UsageError(fmt::format("{}, line {}: '{}' takes a value ({}), not true or false",
                                   source, value.line, value.key, entry->placeholder));
    }
    if (!value.text.empty()) arguments.push_back(fmt::format("--{}={}", value.key, value.text));
  }
  return arguments;
}

bool Options::parse(const std::vector<std::string>& arguments) {
  const std::string command = usage_.substr(0, usage_.find(' '));
  if (std::any_of(arguments.begin(), arguments.end(), asks_for_help)) {
    print_help();
    return false;
  }
  const std::string see_help = fmt::format("; see ae {} --help", command);
  std::vector<std::string> all;
  const auto take_from = [&](const std::string& source, const std::vector<ConfigValue>& values) {
    const std::vector<std::string> more = config_arguments(source, values);
    all.insert(all.end(), more.begin(), more.end());
  };
  const auto accept = [&](const std::string& option) {
    take_last(parser_->app.add_option_function<std::string>(option, [](const std::string&) {}));
    return value_in(arguments, option);
  };
  if (has_recipes_) {
    if (const std::string name = accept("--recipe"); !name.empty()) {
      take_from("recipe " + name, parse_config("recipe " + name, recipe_text(name)));
    }
  }
  if (const std::string file = accept("--config"); !file.empty()) {
    take_from(file, read_config(file));
  }
  all.insert(all.end(), arguments.begin(), arguments.end());
  std::reverse(all.begin(), all.end());  // as CLI11 wants them
  try {
    parser_->app.parse(all);
  } catch (const CLI::RequiredError&) {
    const auto missing = std::find_if(
        arguments_.begin(), arguments_.end(),
        [&](const Entry& entry) { return parser_->app.get_option(entry.name)->count() == 0; });
    throw UsageError(
        fmt::format("{} is missing: {}{}", missing->name, missing->description, see_help));
  } catch (const CLI::ParseError& error) {
    std::string what = error.what();
    std::replace(what.begin(), what.end(), '\n', ' ');
    constexpr std::string_view kConversion = "Could not convert: ";
    if (what.starts_with(kConversion)) {
      what = what.substr(kConversion.size()) + " cannot be understood as the number it must be";
    }
    throw UsageError(what + see_help);
  }
  for (const std::string& extra : parser_->app.remaining()) {
    if (extra.size() > 1 && extra.front() == '-') {
      const std::string flag = extra.substr(0, extra.find('='));
      const std::string name = flag.substr(std::min(flag.find_first_not_of('-'), flag.size()));
      throw UsageError(fmt::format("there is no option {}{}{}", flag,
                                   did_you_mean(name, names(), "--"), see_help));
    }
    throw UsageError(fmt::format("'{}' is one argument too many{}", extra, see_help));
  }
  return true;
}

bool Options::given(const std::string& name) const {
  return parser_->app.get_option("--" + name)->count() != 0;
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
  constexpr std::size_t kColumn = 30;
  for (const Entry& argument : arguments_) {
    text += fmt::format("  {:<{}}{}\n", argument.name, kColumn - 2, argument.description);
  }
  std::string group;
  for (const Entry& entry : entries_) {
    if (entry.group != group) {
      group = entry.group;
      text += fmt::format("\n{}:\n", group);
    }
    const std::string left = fmt::format("  --{} {}", entry.name, entry.placeholder);
    const std::string shown =
        entry.default_text.empty() ? "" : fmt::format(" [{}]", entry.default_text);
    text += fmt::format("{:<{}}{}{}\n", left, kColumn, entry.description, shown);
  }
  if (has_recipes_) {
    text += fmt::format("\n{:<{}}a ready-made model: {}", "  --recipe NAME", kColumn,
                        fmt::join(recipe_names(), ", "));
  }
  text += fmt::format("\n{:<{}}{}\n{:<{}}{}\n", "  --config FILE", kColumn,
                      "take options from a TOML file; flags win over it", "  --help", kColumn,
                      "print this");
  text += "\nExamples:\n";
  for (const std::string& example : examples_) text += fmt::format("  {}\n", example);
  print(text);
}

void DataOptions::add_to(Options& options) {
  options.add("data", data, "NAME|PATH", "mnist, fashion-mnist, or an IDX, IDX.gz or .npy file");
  options.add("data-dir", data_dir, "DIR",
              "where named data sets are; else $AE_DATA_DIR, ~/.cache/ae");
  options.add("limit", limit, "N", "use the first N rows; 0 takes all");
}

std::filesystem::path DataOptions::directory() const {
  return data_dir.empty() ? default_data_directory() : data_dir;
}

void add_device_options(Options& options, DeviceOptions& device) {
  options.add("device", device.device, "NAME",
              "auto, cpu, cuda, cuda:N, simt (emulated CUDA), check");
  options.add("precision", device.precision, "NAME", "of products on a GPU: fp32, tf32");
  options.add("gemm", device.gemm, "NAME", "products on a GPU: cublas, cublaslt (fused epilogues)");
  options.add("convolution", device.convolution, "NAME",
              "on a GPU: auto, cudnn, own (our kernels)");
  options.add("gpu-memory", device.gpu_memory, "MIB",
              "use at most this much; 0 is all that is free");
  device.on_check = [](const std::string& table) { std::fputs(table.c_str(), stderr); };
  // Once, however many devices a command makes, one after the other.
  device.on_notice = [shown = std::make_shared<std::set<std::string>>()](const std::string& line) {
    if (shown->insert(line).second) print_note(line);
  };
  if (stderr_is_terminal()) {
    device.on_upload = [](std::size_t done, std::size_t bytes) {
      std::fputs(fmt::format("\rcopying the data to the GPU: {} %{}", 100 * done / bytes,
                             done == bytes ? "\n" : "")
                     .c_str(),
                 stderr);
    };
  }
  options.add("threads", device.threads, "N", "CPU threads; 0 takes every core");
}

Dataset limited(Dataset data, std::int64_t limit) {
  if (limit < 0) {
    throw UsageError(fmt::format("--limit is {}, it must be at least 1, or 0 for all rows", limit));
  }
  return limit == 0 ? std::move(data) : data.first(limit);
}

}  // namespace ae::cli
