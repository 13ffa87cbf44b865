#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ae/train.hpp"

#include "cli/config_file.hpp"

namespace ae::cli {

/// The options of one command: what they are called, what they mean, where their values go. Wraps
/// CLI11 to give every command the same help, the same errors, and a configuration file in which
/// each option has its own name.
class Options {
 public:
  /// `usage` follows "ae ", e.g. "train [options]".
  Options(std::string usage, std::string summary);
  ~Options();
  Options(const Options&) = delete;
  Options& operator=(const Options&) = delete;

  /// The options added from here on are listed under `title`.
  void group(std::string title) { group_ = std::move(title); }

  /// --name VALUE. The variable's present value is the default.
  void add(const std::string& name, std::string& value, const std::string& placeholder,
           const std::string& description);
  void add(const std::string& name, std::filesystem::path& value, const std::string& placeholder,
           const std::string& description);
  void add(const std::string& name, std::int64_t& value, const std::string& placeholder,
           const std::string& description);
  void add(const std::string& name, std::uint64_t& value, const std::string& placeholder,
           const std::string& description);
  void add(const std::string& name, int& value, const std::string& placeholder,
           const std::string& description);
  void add(const std::string& name, float& value, const std::string& placeholder,
           const std::string& description);
  /// A comma-separated list; an array in configuration files.
  void add(const std::string& name, std::vector<std::int64_t>& value,
           const std::string& placeholder, const std::string& description);
  /// The same of text.
  void add(const std::string& name, std::vector<std::string>& value, const std::string& placeholder,
           const std::string& description);
  /// --name
  void add_flag(const std::string& name, bool& value, const std::string& description);

  /// A required argument without a name, in the order of calls.
  void add_argument(const std::string& name, std::filesystem::path& value,
                    const std::string& description);

  /// --recipe NAME: the options of a ready-made model, see recipes.hpp.
  void add_recipes() { has_recipes_ = true; }

  void add_example(const std::string& command);

  /// Reads the arguments after the command's name. Returns false if they asked for help, which is
  /// then on stdout. A recipe's values come first, those of `--config FILE` win over them, and
  /// flags over both.
  /// @throws UsageError for anything that cannot be understood.
  bool parse(const std::vector<std::string>& arguments);

  /// True if the option was given, by flag or file.
  [[nodiscard]] bool given(const std::string& name) const;

  /// Every option and its value now, as a configuration file that repeats the command.
  [[nodiscard]] std::string to_toml() const;

 private:
  /// CLI11's parser. Its header takes seconds to compile, so options.cpp alone includes it.
  struct Parser;

  struct Entry {
    std::string group;
    std::string name;
    std::string placeholder;
    std::string description;
    std::string default_text;
    std::function<std::string()> toml_value;
    bool is_flag = false;
  };

  template <typename Value>
  void add_entry(const std::string& name, Value& value, const std::string& placeholder,
                 const std::string& description);
  [[nodiscard]] std::vector<std::string> config_arguments(
      const std::string& source, const std::vector<ConfigValue>& values) const;
  [[nodiscard]] std::vector<std::string> names() const;
  void print_help() const;

  std::string usage_;
  std::string summary_;
  std::string group_ = "Options";
  std::unique_ptr<Parser> parser_;
  std::vector<Entry> entries_;
  std::vector<Entry> arguments_;
  std::vector<std::string> examples_;
  bool has_recipes_ = false;
};

/// Which rows a command works on.
struct DataOptions {
  std::string data = "mnist";
  std::filesystem::path data_dir;  ///< empty: default_data_directory()
  std::int64_t limit = 0;          ///< 0: all

  void add_to(Options& options);
  [[nodiscard]] std::filesystem::path directory() const;
};

/// Adds --device, --threads and what GPUs are told.
void add_device_options(Options& options, DeviceOptions& device);

/// A --limit as the library has it, -1 for all. @throws UsageError for a negative limit.
std::int64_t most_rows(std::int64_t limit);

}  // namespace ae::cli
