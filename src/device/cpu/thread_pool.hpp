#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <type_traits>
#include <vector>

namespace ae::cpu {

/// Threads that wait close to the next piece of work. A training step is a dozen parallel regions
/// of some ten microseconds, so workers spin for a while before they sleep.
///
/// Work comes as numbered tasks whose size never depends on the number of threads: who runs a task
/// is left to chance, what it computes is not. That is why 1, 2 and 64 threads give the same bits.
class ThreadPool {
 public:
  /// `threads` ≥ 1 counts the calling thread too. Where the system refuses some, there are fewer.
  /// Workers take no signals; whoever calls for_each with a task that uses oneDNN has them blocked
  /// as well (see BlockedSignals).
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls task(0) … task(count - 1), each once, and returns when all are done. Each thread starts
  /// on its own share of consecutive tasks, so that what one region leaves in its cache the next
  /// one finds there, and then helps the others. If a task throws, its exception is thrown
  /// here once no task runs any more; other tasks may or may not have run. Not to be called from
  /// within a task.
  ///
  /// A task may ask which thread runs it, task(index, thread), for scratch that is nobody else's;
  /// its results must not depend on that.
  template <typename Task>
  void for_each(std::int64_t count, const Task& task) {
    run(Job{[](const void* context, std::int64_t index, std::size_t thread) {
              const Task& call = *static_cast<const Task*>(context);
              if constexpr (std::is_invocable_v<Task, std::int64_t, std::size_t>) {
                call(index, thread);
              } else {
                call(index);
              }
            },
            &task, count});
  }

 private:
  struct Job {
    void (*call)(const void* context, std::int64_t index, std::size_t thread) = nullptr;
    const void* context = nullptr;
    std::int64_t count = 0;
  };

  /// Tasks next ≤ i < end that one thread starts with, both in one word (end in the upper half), so
  /// that a task is claimed in one exchange. On a cache line of its own.
  struct alignas(64) Share {
    std::atomic<std::uint64_t> tasks{0};
  };

  class Worker;

  void run(const Job& job);
  void work(std::size_t self);
  void run_task(std::int64_t index, std::size_t self);
  void worker(std::size_t self);

  std::vector<Share> shares_;  ///< of the threads that there are, and of those that were refused
  std::vector<std::unique_ptr<Worker>> workers_;
  Job job_;
  alignas(64) std::atomic<std::uint32_t> round_{0};      ///< one more for every job
  alignas(64) std::atomic<std::uint32_t> remaining_{0};  ///< tasks of the job that are not done
  std::atomic<bool> stopping_{false};
  std::mutex exception_mutex_;
  std::exception_ptr exception_;
};

}  // namespace ae::cpu
