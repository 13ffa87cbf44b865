#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "cli/progress.hpp"

namespace ae::cli {

/// Says what is being computed when that takes longer than a second: on a terminal one live line
/// that counts the seconds, in a pipe one plain line. Says nothing in the voices json and quiet.
/// While an activity is named, nothing else may print to stdout.
class Activity {
 public:
  explicit Activity(Voice voice);
  ~Activity();
  Activity(const Activity&) = delete;
  Activity& operator=(const Activity&) = delete;

  /// From here on the program is doing this, e.g. "evaluating the test rows".
  void start(std::string what);
  /// Clears the live line. From here on others may print.
  void stop();

 private:
  void watch();

  bool is_shown_;
  bool is_live_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string what_;  ///< empty between activities
  bool has_live_line_ = false;
  bool ends_ = false;
  std::thread watcher_;
};

}  // namespace ae::cli
