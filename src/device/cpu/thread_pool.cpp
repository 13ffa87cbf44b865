#include "device/cpu/thread_pool.hpp"

#include <algorithm>
#include <exception>
#include <system_error>
#include <utility>

#include <pthread.h>

#include "cpu/gemm.hpp"
#include "device/blocked_signals.hpp"
#include "device/cpu/float_mode.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ae::cpu {

namespace {

/// How often a waiting thread looks before it gives its core away: some tens of microseconds,
/// longer than the serial stretches between the regions of a step.
constexpr int kSpins = 2000;

/// A worker's stack, Linux's usual size. `ulimit -s` may say less than the vector code's tiles
/// (70 KiB) and the libraries' thread-local data take.
constexpr std::size_t kStackBytes = std::size_t{8} << 20;

/// Where the halves of a share's word meet.
constexpr unsigned kIndexBits = 32;
constexpr std::uint64_t kIndexMask = (std::uint64_t{1} << kIndexBits) - 1;

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Waits until `value` is no longer `old`.
void wait_for_change(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (value.load(std::memory_order_acquire) != old) return;
    pause();
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

/// A thread of the pool, which its destructor waits for.
class ThreadPool::Worker {
 public:
  /// @throws std::system_error if the system refuses the thread.
  Worker(ThreadPool& pool, std::size_t self) : pool_(pool), self_(self) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, kStackBytes);
    const int status = pthread_create(&thread_, &attributes, run, this);
    pthread_attr_destroy(&attributes);
    if (status != 0) throw std::system_error(status, std::generic_category());
  }
  ~Worker() { pthread_join(thread_, nullptr); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

 private:
  static void* run(void* worker) {
    auto* const self = static_cast<Worker*>(worker);
    self->pool_.worker(self->self_);
    return nullptr;
  }

  ThreadPool& pool_;
  std::size_t self_;
  pthread_t thread_{};
};

ThreadPool::ThreadPool(int threads) : shares_(static_cast<std::size_t>(std::max(threads, 1))) {
  workers_.reserve(shares_.size() - 1);
  const BlockedSignals blocked;  // the workers inherit it
  try {
    for (std::size_t self = 1; self < shares_.size(); ++self) {
      workers_.push_back(std::make_unique<Worker>(*this, self));
    }
  } catch (const std::exception&) {
    // No more threads to be had: fewer compute the same.
  }
}

ThreadPool::~ThreadPool() {
  stopping_.store(true, std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  workers_.clear();
}

void ThreadPool::run(const Job& job) {
  if (job.count <= 0) return;
  const FloatMode float_mode;
  const SingleThreadedGemm single_threaded;
  if (workers_.empty() || job.count == 1) {
    for (std::int64_t index = 0; index < job.count; ++index) job.call(job.context, index, 0);
    return;
  }
  job_ = job;
  remaining_.store(static_cast<std::uint32_t>(job.count), std::memory_order_relaxed);
  const std::int64_t threads = this->threads();
  for (std::int64_t t = 0; t < threads; ++t) {
    const auto begin = static_cast<std::uint64_t>(job.count * t / threads);
    const auto end = static_cast<std::uint64_t>(job.count * (t + 1) / threads);
    shares_[static_cast<std::size_t>(t)].tasks.store(end << kIndexBits | begin,
                                                     std::memory_order_release);
  }
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  work(0);
  // Tasks are waited for, not workers: one that the system has not run yet has nothing to give
  // back.
  for (std::uint32_t left = remaining_.load(std::memory_order_acquire); left != 0;
       left = remaining_.load(std::memory_order_acquire)) {
    wait_for_change(remaining_, left);
  }
  if (exception_) std::rethrow_exception(std::exchange(exception_, nullptr));
}

void ThreadPool::work(std::size_t self) {
  const std::size_t threads = shares_.size();
  for (std::size_t i = 0; i < threads; ++i) {
    std::atomic<std::uint64_t>& tasks = shares_[(self + i) % threads].tasks;
    std::uint64_t seen = tasks.load(std::memory_order_acquire);
    while ((seen & kIndexMask) < seen >> kIndexBits) {
      if (!tasks.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel)) continue;
      // Whoever holds a task holds its job: that cannot end, nor the next begin, before the task is
      // done. So a worker that comes late meets a later job's tasks or none, never a stale job.
      run_task(static_cast<std::int64_t>(seen & kIndexMask), self);
      seen = tasks.load(std::memory_order_acquire);
    }
  }
}

void ThreadPool::run_task(std::int64_t index, std::size_t self) {
  try {
    job_.call(job_.context, index, self);
  } catch (...) {
    const std::lock_guard lock(exception_mutex_);
    if (!exception_) exception_ = std::current_exception();
  }
  if (remaining_.fetch_sub(1, std::memory_order_acq_rel) == 1) remaining_.notify_one();
}

void ThreadPool::worker(std::size_t self) {
  const FloatMode float_mode;
  const SingleThreadedGemm single_threaded;
  std::uint32_t seen = 0;
  for (;;) {
    wait_for_change(round_, seen);
    seen = round_.load(std::memory_order_acquire);
    if (stopping_.load(std::memory_order_relaxed)) return;
    work(self);
  }
}

}  // namespace ae::cpu
