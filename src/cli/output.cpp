#include "cli/output.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <system_error>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ae/error.hpp"

namespace ae::cli {

namespace {

bool has_live_lines(int descriptor) {
  const char* const terminal = std::getenv("TERM");  // NOLINT(concurrency-mt-unsafe): read only
  return isatty(descriptor) != 0 && (terminal == nullptr || std::string_view(terminal) != "dumb");
}

}  // namespace

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) {
    return;
  }
  throw Error(fmt::format("the output cannot be written, {}, check where stdout goes",
                          std::generic_category().message(errno)));
}

void print_note(std::string_view text) {
  if (!text.empty()) std::fputs(fmt::format("ae: note: {}\n", text).c_str(), stderr);
}

void print_error(std::string_view text) {
  std::fputs(fmt::format("ae: error: {}\n", text).c_str(), stderr);
}

void print_json(const nlohmann::ordered_json& object) {
  // Text that is not UTF-8, such as an odd file name, is shown with replacement characters.
  print(object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

bool stdout_has_live_lines() {
  return has_live_lines(STDOUT_FILENO);
}
bool stderr_has_live_lines() {
  return has_live_lines(STDERR_FILENO);
}

int terminal_width() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace ae::cli
