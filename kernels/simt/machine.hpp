#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "simt/memory.hpp"
#include "simt/words.hpp"

namespace ae::simt {

struct LaunchShape {
  dim3 grid;
  dim3 block;
};

/// A kernel that waits to be run: `thread` does what one of its threads does.
struct Launch {
  std::string name;
  LaunchShape shape;
  std::function<void()> thread;
};

/// In which order blocks run, and threads within a block until they meet a barrier. A kernel that
/// lacks a barrier may be right in one order by luck.
struct Order {
  enum class Kind : std::uint8_t { forward, reverse, shuffled };
  Kind kind = Kind::forward;
  std::uint64_t seed = 0;  ///< of the shuffles
};

/// The emulated device: this process has one, as a machine has a GPU. It runs one kernel at a time.
class Machine {
 public:
  static Machine& instance();

  [[nodiscard]] DeviceMemory& memory() { return memory_; }

  /// Runs the kernel to its end. The first time, its name goes into the file that AE_SIMT_KERNELS
  /// names, if there is one: a test suite can see what it ran. @throws Fault for what CUDA would
  /// not allow.
  void run(const Launch& launch, Order order);

 private:
  Machine();

  DeviceMemory memory_;
  std::mutex mutex_;
  std::set<std::string> kernels_;
};

/// Runs launches at once, or records them to be run again and again, as a CUDA graph does: with the
/// arguments they had when they were recorded.
class LaunchQueue {
 public:
  explicit LaunchQueue(Order order) : order_(order) {}

  void launch(Launch launch);

  void begin_recording() { recording_ = true; }
  [[nodiscard]] std::vector<Launch> end_recording();

 private:
  Order order_;
  bool recording_ = false;
  std::vector<Launch> recorded_;
};

/// Not owned.
using Stream = LaunchQueue*;

/// Between these two, what a thread does is the kernel's: every access to memory is judged.
void begin_thread();
void end_thread();

/// The block's shared array for a declaration, made by the first thread that comes to it.
void* shared_array(const void* key, const char* name, std::size_t bytes, std::size_t alignment);

/// Faults unless the address is a multiple of `bytes`.
void require_alignment(const void* pointer, std::size_t bytes);

}  // namespace ae::simt
