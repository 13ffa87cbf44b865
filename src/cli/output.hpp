#pragma once

#include <string_view>

#include <nlohmann/json.hpp>

namespace ae::cli {

/// On a terminal: back to the start of the line, which becomes empty.
inline constexpr const char* kClearLine = "\r\x1b[K";

/// Writes to stdout and flushes. @throws Error if that fails (a full disk, a closed pipe): what a
/// script waits for must not be lost in silence.
void print(std::string_view text);

/// Write a line to stderr, "ae: note: text" and "ae: error: text". Where that fails there is nobody
/// left to be told.
void print_note(std::string_view text);
void print_error(std::string_view text);

/// One JSON object on a line of its own. NaN becomes null.
void print_json(const nlohmann::ordered_json& object);

/// Whether a line there can be written anew: it is a terminal, and one that knows more than to
/// print (TERM=dumb, as in an editor's window, does not).
bool stdout_has_live_lines();
bool stderr_has_live_lines();

/// Columns of the terminal, 80 if it does not say.
int terminal_width();

}  // namespace ae::cli
