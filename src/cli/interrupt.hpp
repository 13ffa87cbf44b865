#pragma once

#include <atomic>
#include <csignal>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace ae::cli {

/// Takes Ctrl-C (SIGINT), SIGTERM and SIGHUP in a thread of its own, for as long as it lives. Those
/// that were ignored when the program started (nohup, trap "" INT) stay so. Make it before any
/// other thread, for these must inherit what is blocked.
class Interrupts {
 public:
  /// At first a signal ends the program as if nobody had asked for it.
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  /// From here on signals are counted: there is something to lose.
  void hold();

  /// How many came since.
  [[nodiscard]] int count();

  /// While it lives, a signal ends the program at once, after `leave`, with the exit code of the
  /// first that came. `leave` is called in another thread than this one, which may be at anything.
  class LettingGo {
   public:
    LettingGo(Interrupts& interrupts, std::function<void()> leave);
    ~LettingGo() { interrupts_.hold(); }
    LettingGo(const LettingGo&) = delete;
    LettingGo& operator=(const LettingGo&) = delete;

   private:
    Interrupts& interrupts_;
  };

  /// 128 + the number of the first signal that was counted, as a shell would say it; 0 without one.
  [[nodiscard]] int exit_code() const;

 private:
  enum class Phase : std::uint8_t { nothing_to_lose, counting, letting_go };

  void watch();
  void take_pending();
  void take(int signal);

  sigset_t signals_{};
  int wake_ = 0;  ///< one of them, which the destructor sends to the thread
  sigset_t saved_{};
  std::mutex mutex_;  ///< of what follows, but for what is atomic
  Phase phase_ = Phase::nothing_to_lose;
  std::function<void()> leave_;
  std::atomic<int> count_{0};
  std::atomic<int> first_{0};
  std::atomic<bool> ends_{false};
  std::thread watcher_;  ///< none where the system refuses it: count() looks for itself then
};

}  // namespace ae::cli
