#include "cli/activity.hpp"

#include <chrono>
#include <exception>
#include <utility>

#include <fmt/format.h>

#include "cli/output.hpp"
#include "device/blocked_signals.hpp"

namespace ae::cli {

Activity::Activity(Voice voice)
    : is_shown_(voice == Voice::human), is_live_(is_shown_ && stdout_has_live_lines()) {}

Activity::~Activity() {
  if (!watcher_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
    what_.clear();
  }
  changed_.notify_one();
  watcher_.join();
}

void Activity::start(std::string what) {
  if (!is_shown_) return;
  if (!watcher_.joinable()) {
    try {
      const BlockedSignals blocked;  // signals are for threads that expect them
      watcher_ = std::thread([this] {
        try {
          watch();
        } catch (const std::exception&) {
          // Memory or stdout is gone, which the next line of the program itself will report.
        }
      });
    } catch (const std::exception&) {
      is_shown_ = false;  // no thread to be had: the work goes on in silence
      return;
    }
  }
  stop();
  {
    const std::lock_guard lock(mutex_);
    what_ = std::move(what);
  }
  changed_.notify_one();
}

void Activity::stop() {
  if (!watcher_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    what_.clear();
    if (has_live_line_) print(kClearLine);
    has_live_line_ = false;
  }
  changed_.notify_one();
}

void Activity::watch() {
  std::unique_lock lock(mutex_);
  while (!ends_) {
    changed_.wait(lock, [&] { return ends_ || !what_.empty(); });
    const std::string current = what_;
    for (int seconds = 1; !ends_ && what_ == current; ++seconds) {
      const auto another = [&] { return ends_ || what_ != current; };
      if (changed_.wait_for(lock, std::chrono::seconds(1), another)) break;
      if (is_live_) {
        print(fmt::format("{}{}, {} s", kClearLine, current, seconds));
        has_live_line_ = true;
      } else if (seconds == 1) {
        print(current + "\n");
      }
    }
  }
}

}  // namespace ae::cli
