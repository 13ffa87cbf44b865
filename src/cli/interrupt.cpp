#include "cli/interrupt.hpp"

#include <csignal>

namespace ae::cli {

namespace {

// Signal handlers can reach nothing but this.
volatile std::sig_atomic_t signal_seen =
    0;  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

void note_signal(int signal) {
  signal_seen = 1;
  std::signal(signal, SIG_DFL);
}

}  // namespace

void watch_for_interrupt() {
  std::signal(SIGINT, note_signal);
  std::signal(SIGTERM, note_signal);
}

bool interrupted() {
  return signal_seen != 0;
}

}  // namespace ae::cli
