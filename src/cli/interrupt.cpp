#include "cli/interrupt.hpp"

#include <array>
#include <ctime>
#include <exception>
#include <utility>

#include <pthread.h>
#include <unistd.h>

namespace ae::cli {

namespace {

/// What a shell and others tell of a program that a signal ended.
constexpr int kEndedBySignal = 128;

constexpr std::array kInterrupts = {SIGINT, SIGTERM, SIGHUP};

sigset_t interrupts_not_ignored() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : kInterrupts) {
    struct sigaction action = {};
    sigaction(signal, nullptr, &action);
    if (action.sa_handler != SIG_IGN) sigaddset(&signals, signal);
  }
  return signals;
}

/// 0 if there is none.
int first_of(const sigset_t& signals) {
  for (const int signal : kInterrupts) {
    if (sigismember(&signals, signal) == 1) return signal;
  }
  return 0;
}

/// What happens to a program that knows nothing of the signal.
void end_by(int signal) {
  sigset_t alone;
  sigemptyset(&alone);
  sigaddset(&alone, signal);
  pthread_sigmask(SIG_UNBLOCK, &alone, nullptr);
  raise(signal);
}

}  // namespace

Interrupts::Interrupts() : signals_(interrupts_not_ignored()), wake_(first_of(signals_)) {
  pthread_sigmask(SIG_BLOCK, &signals_, &saved_);
  try {
    if (wake_ != 0) watcher_ = std::thread([this] { watch(); });
  } catch (const std::exception&) {
    pthread_sigmask(SIG_SETMASK, &saved_, nullptr);
  }
}

Interrupts::~Interrupts() {
  if (watcher_.joinable()) {
    ends_ = true;
    pthread_kill(watcher_.native_handle(), wake_);
    watcher_.join();
  }
  pthread_sigmask(SIG_SETMASK, &saved_, nullptr);
}

void Interrupts::hold() {
  if (!watcher_.joinable()) pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  const std::lock_guard lock(mutex_);
  phase_ = Phase::counting;
}

int Interrupts::count() {
  if (!watcher_.joinable()) take_pending();
  return count_;
}

void Interrupts::take_pending() {
  const timespec at_once{};
  while (true) {
    const int signal = sigtimedwait(&signals_, nullptr, &at_once);
    if (signal < 0) return;
    take(signal);
  }
}

Interrupts::LettingGo::LettingGo(Interrupts& interrupts, std::function<void()> leave)
    : interrupts_(interrupts) {
  if (!interrupts.watcher_.joinable()) {
    interrupts.take_pending();
    pthread_sigmask(SIG_SETMASK, &interrupts.saved_, nullptr);
    return;
  }
  const std::lock_guard lock(interrupts.mutex_);
  interrupts.leave_ = std::move(leave);
  interrupts.phase_ = Phase::letting_go;
}

int Interrupts::exit_code() const {
  return first_ == 0 ? 0 : kEndedBySignal + first_;
}

void Interrupts::watch() {
  while (true) {
    siginfo_t info{};
    if (sigwaitinfo(&signals_, &info) < 0) continue;
    if (ends_ && info.si_pid == getpid()) return;  // the destructor's
    take(info.si_signo);
  }
}

void Interrupts::take(int signal) {
  const std::lock_guard lock(mutex_);
  if (phase_ == Phase::nothing_to_lose) end_by(signal);
  if (first_ == 0) first_ = signal;
  ++count_;
  if (phase_ != Phase::letting_go) return;
  leave_();
  _exit(exit_code());
}

}  // namespace ae::cli
