#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "simt/fiber.hpp"
#include "simt/machine.hpp"
#include "simt/shared_memory.hpp"

namespace ae::simt {

/// One kernel on its way: its blocks one after the other, each block's threads on fibers.
///
/// A fiber runs thread after thread. Only when a thread has to wait for others does it keep its
/// fiber, and another one goes on with the threads that have not begun: a kernel that never
/// synchronises is a plain loop. When no thread can go on, whatever is complete (a warp's exchange,
/// the block's barrier) is released; if nothing is, the kernel would hang, and that is a fault.
class Execution {
 public:
  Execution(DeviceMemory& memory, const Launch& launch, Order order);

  /// @throws Fault
  void run();

  /// The one whose kernel code runs on this host thread now; null while host code runs. The
  /// compiler's calls before each memory access carry an address and nothing else, so this is where
  /// they find what the address means.
  static Execution* current() { return current_; }

  /// From a thread that has its parameters and begins its kernel, or ends it.
  static void begin_thread() { current_ = under_way_; }
  static void end_thread() { current_ = nullptr; }

  // ── From kernel threads ─────────────────────────────────────────────────────────────────────

  enum class Access : std::uint8_t { read, write, atomic };
  void access(std::uintptr_t address, std::size_t bytes, Access kind);

  /// A place in the source.
  struct Place {
    const char* file = nullptr;
    int line = 0;
    bool operator==(const Place& other) const;
  };
  void synchronize_block(Place place);
  std::uint64_t exchange(unsigned mask, std::uint64_t bits, unsigned source, Place place);
  void* shared_array(const void* key, const char* name, std::size_t bytes, std::size_t alignment);
  /// Ends the kernel.
  [[noreturn]] void fault(std::string what);

  [[nodiscard]] unsigned thread() const { return thread_; }
  [[nodiscard]] const LaunchShape& shape() const { return launch_.shape; }
  [[nodiscard]] uint3 thread_index() const { return indices_[thread_]; }
  [[nodiscard]] uint3 block_index() const { return block_; }

 private:
  enum class State : std::uint8_t { waiting_to_begin, ready, at_barrier, in_exchange, done };

  struct Thread {
    State state = State::waiting_to_begin;
    Fiber* fiber = nullptr;  ///< that holds it while it waits
    Place place;             ///< where it waits
    unsigned mask = 0;       ///< of the exchange it waits for
    std::uint64_t bits = 0;
    unsigned source = 0;
  };

  class Unjudged;
  class UnderWay;

  void run_block(std::uint64_t number);
  void run_threads();  ///< on a fiber: threads that have not begun, one by one
  void resume(Fiber& fiber);
  Fiber& idle_fiber();
  void wait(State state, Place place);
  bool release_exchange(unsigned warp);
  bool release_barrier();
  [[noreturn]] void report_deadlock();
  [[nodiscard]] unsigned lanes_of(unsigned warp) const;
  [[nodiscard]] std::string where() const;
  [[nodiscard]] std::string name_of(unsigned thread) const;
  void access_device(std::uintptr_t address, std::size_t bytes, Access kind);
  void access_shared(std::uintptr_t address, std::size_t bytes, Access kind);

  inline static thread_local constinit Execution* current_ = nullptr;
  inline static thread_local constinit Execution* under_way_ = nullptr;

  DeviceMemory& memory_;
  const Launch& launch_;
  Order order_;
  unsigned threads_a_block_;
  SharedMemory shared_;

  uint3 block_{};
  std::vector<uint3> indices_;  ///< of the threads of a block
  std::vector<Thread> threads_;
  std::vector<unsigned> sequence_;  ///< the order of the block's threads
  std::size_t next_ = 0;            ///< in sequence_: the next that has not begun
  unsigned done_ = 0;
  unsigned thread_ = 0;     ///< that runs now
  Fiber* fiber_ = nullptr;  ///< that it runs on
  std::string fault_;

  std::function<void()> work_;
  std::deque<Fiber> fibers_;
  std::vector<Fiber*> idle_;
};

}  // namespace ae::simt
