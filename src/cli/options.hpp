#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ae/train.hpp"

#include "cli/config_file.hpp"

namespace ae::cli {

/// The options of one command: what they are called, what they mean, where their values go. Gives
/// every command the same help, the same errors, and a configuration file in which each option has
/// its own name.
class Options {
 public:
  /// `usage` follows "ae ", e.g. "train [options]".
  Options(std::string usage, std::string summary);
  ~Options() = default;
  Options(const Options&) = delete;
  Options& operator=(const Options&) = delete;

  /// The options added from here on are listed under `title`.
  void group(std::string title) { group_ = std::move(title); }

  /// --name VALUE. The variable's present value is the default. It is text, a path, a number, or a
  /// list of texts or whole numbers: with commas between them, in configuration files an array.
  template <typename Value>
  void add(const std::string& name, Value& value, const std::string& placeholder,
           const std::string& description);
  /// --name
  void add_flag(const std::string& name, bool& value, const std::string& description);

  /// A required argument without a name, in the order of calls.
  void add_argument(const std::string& name, std::filesystem::path& value,
                    const std::string& description);

  /// The last of them may be one that can be left out.
  void add_optional_argument(const std::string& name, std::filesystem::path& value,
                             const std::string& description);

  /// --recipe NAME: the options of a ready-made model, see recipes.hpp.
  void add_recipes();

  void add_example(const std::string& command);

  /// Reads the arguments after the command's name. Returns false if they asked for help, which is
  /// then on stdout. A recipe's values come first, those of `--config FILE` win over them, and
  /// flags over both. The recipe may stand in the file.
  /// @throws UsageError for anything that cannot be understood.
  bool parse(const std::vector<std::string>& arguments);

  /// True if the option was given, by flag or file.
  [[nodiscard]] bool given(const std::string& name) const;

  /// Every option and its value now, as a configuration file that repeats the command.
  [[nodiscard]] std::string to_toml() const;

 private:
  enum class Kind : std::uint8_t { flag, value, list };

  struct Entry {
    std::string group{};
    std::string name{};
    std::string placeholder{};
    std::string description{};
    std::string default_text{};
    Kind kind = Kind::value;
    /// Takes over a value. @throws UsageError that calls it `what` if it cannot be understood.
    std::function<void(const std::string& what, const std::string& text)> read{};
    std::function<std::string()> toml_value{};
    bool is_optional = false;  ///< of arguments
    bool is_given = false;
  };

  /// An option or argument, and the text that was given for it.
  struct Assignment {
    Entry* entry;
    std::string text;
  };

  [[nodiscard]] static Entry* find(std::vector<Entry>& entries, std::string_view name);
  [[nodiscard]] std::vector<Assignment> split(const std::vector<std::string>& arguments);
  void read_file(const std::string& source, const std::vector<ConfigValue>& values);
  [[nodiscard]] static std::vector<std::string> names(const std::vector<Entry>& entries);
  [[nodiscard]] std::string see_help() const;
  void print_help() const;

  std::string usage_;
  std::string summary_;
  std::string group_ = "Options";
  std::vector<Entry> entries_;
  std::vector<Entry> arguments_;
  std::vector<std::string> examples_;
  /// Where values come from, rather than values themselves: --config and, if there are, --recipe.
  std::vector<Entry> sources_;
  std::string config_;
  std::string recipe_;
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
