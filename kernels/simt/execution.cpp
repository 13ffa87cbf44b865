#include "simt/execution.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "formulas/philox.hpp"
#include "simt/fault.hpp"

namespace ae::simt {

namespace {

constexpr unsigned kWarp = 32;

uint3 index_of(std::uint64_t number, const dim3& extent) {
  return {static_cast<unsigned>(number % extent.x),
          static_cast<unsigned>(number / extent.x % extent.y),
          static_cast<unsigned>(number / extent.x / extent.y)};
}

/// Puts 0 … size - 1 into an order; `stream` tells one shuffle from another.
template <typename Number>
void arrange(std::vector<Number>& numbers, Order order, std::uint32_t stream) {
  std::iota(numbers.begin(), numbers.end(), Number{0});
  if (order.kind == Order::Kind::reverse) std::reverse(numbers.begin(), numbers.end());
  if (order.kind != Order::Kind::shuffled) return;
  const Philox random(order.seed);
  for (std::size_t left = numbers.size(); left > 1; --left) {
    const auto word = random.at(static_cast<std::uint32_t>(left), stream, 0, 0).word[0];
    std::swap(numbers[left - 1], numbers[to_bounded(word, static_cast<std::uint32_t>(left))]);
  }
}

std::string text_of(const uint3& index) {
  return fmt::format("({},{},{})", index.x, index.y, index.z);
}

std::string_view file_name(const char* path) {
  const std::string_view file(path);
  return file.substr(file.find_last_of('/') + 1);
}

constexpr std::size_t kMostThreads = 1024;

/// The threads of a block. @throws Fault for a launch that CUDA refuses.
unsigned checked_threads(const Launch& launch) {
  const auto& [grid, block] = launch.shape;
  const auto refuse = [&](std::string_view why) {
    throw Fault(fmt::format("kernel {}: its launch with grid ({},{},{}) and block ({},{},{}) {}",
                            launch.name, grid.x, grid.y, grid.z, block.x, block.y, block.z, why));
  };
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) refuse("has no blocks");
  if (block.x == 0 || block.y == 0 || block.z == 0) refuse("has no threads");
  if (grid.x > 0x7FFFFFFFU || grid.y > 0xFFFFU || grid.z > 0xFFFFU) {
    refuse("has a grid larger than (2147483647,65535,65535)");
  }
  if (block.x > kMostThreads || block.y > kMostThreads || block.z > 64 ||
      std::size_t{block.x} * block.y * block.z > kMostThreads) {
    refuse("has more than 1024 threads a block");
  }
  return block.x * block.y * block.z;
}

}  // namespace

bool Execution::Place::operator==(const Place& other) const {
  return line == other.line && (file == other.file || std::strcmp(file, other.file) == 0);
}

Execution::Execution(DeviceMemory& memory, const Launch& launch, Order order)
    : memory_(memory),
      launch_(launch),
      order_(order),
      threads_a_block_(checked_threads(launch)),
      shared_((threads_a_block_ + kWarp - 1) / kWarp),
      indices_(threads_a_block_),
      threads_(threads_a_block_),
      sequence_(threads_a_block_),
      work_([this] { run_threads(); }) {
  for (unsigned thread = 0; thread < threads_a_block_; ++thread) {
    indices_[thread] = index_of(thread, launch.shape.block);
  }
}

/// While it lives, what runs is the device's own code. It shares inline functions of the standard
/// library with kernel sources, and the linker may have kept those whose accesses are judged.
class Execution::Unjudged {
 public:
  Unjudged() : kernel_(std::exchange(current_, nullptr)) {}
  ~Unjudged() { current_ = kernel_; }
  Unjudged(const Unjudged&) = delete;
  Unjudged& operator=(const Unjudged&) = delete;

 private:
  Execution* kernel_;
};

/// Marks an execution as the one under way.
class Execution::UnderWay {
 public:
  explicit UnderWay(Execution& execution) { under_way_ = &execution; }
  ~UnderWay() {
    under_way_ = nullptr;
    current_ = nullptr;
  }
  UnderWay(const UnderWay&) = delete;
  UnderWay& operator=(const UnderWay&) = delete;
};

void Execution::run() {
  const auto& grid = launch_.shape.grid;
  const std::uint64_t blocks = std::uint64_t{grid.x} * grid.y * grid.z;
  std::vector<std::uint64_t> numbers(blocks);
  arrange(numbers, order_, 0);
  const DeviceMemory::Access access(memory_);
  const UnderWay mark(*this);
  for (const std::uint64_t number : numbers) run_block(number);
}

void Execution::run_block(std::uint64_t number) {
  block_ = index_of(number, launch_.shape.grid);
  shared_.begin_block();
  std::fill(threads_.begin(), threads_.end(), Thread{});
  arrange(sequence_, order_, static_cast<std::uint32_t>(number + 1));
  next_ = 0;
  done_ = 0;

  while (done_ < threads_a_block_) {
    while (next_ < threads_a_block_) resume(idle_fiber());
    bool released = false;
    for (unsigned warp = 0; warp * kWarp < threads_a_block_; ++warp) {
      released |= release_exchange(warp);
    }
    if (!released) released = release_barrier();
    if (!released && done_ < threads_a_block_) report_deadlock();
    for (const unsigned thread : sequence_) {
      if (threads_[thread].state == State::ready) {
        thread_ = thread;
        resume(*threads_[thread].fiber);
      }
    }
  }
}

void Execution::run_threads() {
  while (next_ < threads_a_block_) {
    thread_ = sequence_[next_++];
    launch_.thread();
    threads_[thread_].state = State::done;
    ++done_;
  }
  idle_.push_back(fiber_);
}

void Execution::resume(Fiber& fiber) {
  fiber_ = &fiber;
  fiber.resume();
  current_ = nullptr;
  if (fault_.empty()) return;
  throw Fault(fmt::format("kernel {}, block {}, thread {}: {}", launch_.name, text_of(block_),
                          name_of(thread_), fault_));
}

Fiber& Execution::idle_fiber() {
  if (idle_.empty()) return fibers_.emplace_back(work_);
  Fiber& fiber = *idle_.back();
  idle_.pop_back();
  return fiber;
}

void Execution::fault(std::string what) {
  // What is left on this stack is never released, so nothing may be.
  current_ = nullptr;
  fault_ = std::move(what);
  fiber_->yield();
  __builtin_unreachable();  // nobody resumes it
}

// ── Waiting for each other ──────────────────────────────────────────────────────────────────────

void Execution::wait(State state, Place place) {
  Thread& thread = threads_[thread_];
  thread.state = state;
  thread.place = place;
  thread.fiber = fiber_;
  fiber_->yield();
}

void Execution::synchronize_block(Place place) {
  const Unjudged unjudged;
  wait(State::at_barrier, place);
}

unsigned Execution::lanes_of(unsigned warp) const {
  const unsigned lanes = std::min(threads_a_block_ - warp * kWarp, kWarp);
  return lanes == kWarp ? 0xFFFFFFFFU : (1U << lanes) - 1;
}

std::uint64_t Execution::exchange(unsigned mask, std::uint64_t bits, unsigned source, Place place) {
  const Unjudged unjudged;
  const unsigned lane = thread_ % kWarp;
  const unsigned warp = thread_ / kWarp;
  // CUDA takes the full mask for a warp that is not full.
  const unsigned asked = mask & (mask == 0xFFFFFFFFU ? lanes_of(warp) : mask);
  if ((asked >> lane & 1U) == 0)
    fault("takes part in a warp operation whose mask does not name it");
  if ((asked & ~lanes_of(warp)) != 0) fault("names lanes in a mask that its warp does not have");
  for (unsigned other = 0; other < kWarp; ++other) {
    if ((asked >> other & 1U) != 0 && threads_[warp * kWarp + other].state == State::done) {
      fault(
          fmt::format("waits in a warp operation at {}:{} for thread {}, which has left the kernel",
                      file_name(place.file), place.line, name_of(warp * kWarp + other)));
    }
  }
  if (source != lane && (asked >> source & 1U) == 0) {
    fault(fmt::format("reads from lane {} of its warp, which takes no part in the operation",
                      source));
  }
  threads_[thread_].mask = asked;
  threads_[thread_].bits = bits;
  threads_[thread_].source = source;
  wait(State::in_exchange, place);
  return threads_[thread_].bits;
}

/// Releases the lanes that are all there for one warp operation.
bool Execution::release_exchange(unsigned warp) {
  Thread* const lanes = &threads_[warp * kWarp];
  const unsigned count = std::min(threads_a_block_ - warp * kWarp, kWarp);
  bool released = false;
  for (unsigned lane = 0; lane < count; ++lane) {
    if (lanes[lane].state != State::in_exchange) continue;
    const unsigned mask = lanes[lane].mask;
    bool complete = true;
    for (unsigned other = 0; other < count; ++other) {
      if ((mask >> other & 1U) == 0) continue;
      complete &= lanes[other].state == State::in_exchange && lanes[other].mask == mask &&
                  lanes[other].place == lanes[lane].place;
    }
    if (!complete) continue;
    std::array<std::uint64_t, kWarp> given{};
    for (unsigned other = 0; other < count; ++other) given[other] = lanes[other].bits;
    for (unsigned other = 0; other < count; ++other) {
      if ((mask >> other & 1U) == 0) continue;
      lanes[other].bits = given[lanes[other].source];
      lanes[other].state = State::ready;
    }
    if (mask == lanes_of(warp)) shared_.synchronize_warp(warp);
    released = true;
  }
  return released;
}

bool Execution::release_barrier() {
  const Thread* const first =
      std::find_if(threads_.data(), threads_.data() + threads_a_block_,
                   [](const Thread& thread) { return thread.state == State::at_barrier; });
  for (const Thread& thread : threads_) {
    if (thread.state != State::at_barrier || !(thread.place == first->place)) return false;
  }
  for (Thread& thread : threads_) thread.state = State::ready;
  shared_.synchronize_block();
  return true;
}

void Execution::report_deadlock() {
  // Told from the point of view of the first that waits, about the first that does not come.
  const auto waits = [](const Thread& thread) {
    return thread.state == State::at_barrier || thread.state == State::in_exchange;
  };
  const auto waiting = std::find_if(threads_.begin(), threads_.end(), waits);
  const bool barrier = waiting->state == State::at_barrier;
  const auto missing = std::find_if(threads_.begin(), threads_.end(), [&](const Thread& thread) {
    return thread.state != waiting->state || !(thread.place == waiting->place);
  });
  const auto number = [this](auto found) {
    return static_cast<unsigned>(found - threads_.begin());
  };
  std::string what =
      fmt::format("waits for ever at the {} at {}:{}", barrier ? "barrier" : "warp operation",
                  file_name(waiting->place.file), waiting->place.line);
  if (missing != threads_.end()) {
    const bool left = missing->state == State::done;
    what += fmt::format(
        ", which only some threads reach: thread {} {}", name_of(number(missing)),
        left ? "has left the kernel"
             : fmt::format("is at {}:{}", file_name(missing->place.file), missing->place.line));
  }
  throw Fault(fmt::format("kernel {}, block {}, thread {}: {}", launch_.name, text_of(block_),
                          name_of(number(waiting)), what));
}

// ── Who and where ───────────────────────────────────────────────────────────────────────────────

std::string Execution::name_of(unsigned thread) const {
  return text_of(index_of(thread, launch_.shape.block));
}

// ── Memory ──────────────────────────────────────────────────────────────────────────────────────

void* Execution::shared_array(const void* key, const char* name, std::size_t bytes,
                              std::size_t alignment) {
  const Unjudged unjudged;
  void* array = shared_.array(key, name, bytes, alignment);
  if (array == nullptr) {
    fault(
        fmt::format("needs more than the {} bytes of shared memory that a block can have, with {}",
                    SharedMemory::kMostBytes, name));
  }
  return array;
}

void Execution::access(std::uintptr_t address, std::size_t bytes, Access kind) {
  if (memory_.contains(address)) return access_device(address, bytes, kind);
  if (shared_.contains(address)) return access_shared(address, bytes, kind);
  if (address - fiber_->stack_begin() < fiber_->stack_end() - fiber_->stack_begin()) return;
  const Unjudged unjudged;
  fault(fmt::format("{} {} bytes of host memory at {:#x}",
                    kind == Access::read ? "reads" : "writes", bytes, address));
}

void Execution::access_device(std::uintptr_t address, std::size_t bytes, Access kind) {
  std::uint8_t* const notes = memory_.note(address);
  const unsigned needed = kind == Access::write
                              ? unsigned{DeviceMemory::kAllocated}
                              : unsigned{DeviceMemory::kAllocated} | DeviceMemory::kWritten;
  if (bytes == sizeof(std::uint32_t)) {  // nearly all of them
    constexpr std::uint32_t kEach = 0x01010101U;
    std::uint32_t all = 0;
    std::memcpy(&all, notes, sizeof(all));
    if ((all & needed * kEach) == needed * kEach) {
      all |= std::uint32_t{DeviceMemory::kWritten} * kEach;
      if (kind != Access::read) std::memcpy(notes, &all, sizeof(all));
      return;
    }
  }
  unsigned all = 0xFF;
  for (std::size_t i = 0; i < bytes; ++i) all &= notes[i];
  if ((all & needed) == needed) {
    if (kind != Access::read) {
      std::memset(notes, DeviceMemory::kAllocated | DeviceMemory::kWritten, bytes);
    }
    return;
  }
  const auto* bad = std::find_if(notes, notes + bytes,
                                 [&](std::uint8_t note) { return (note & needed) != needed; });
  const char* why = (*bad & DeviceMemory::kAllocated) != 0 ? "that nothing has written"
                    : *bad == DeviceMemory::kFreed         ? "of a buffer that has been freed"
                                                           : "outside every buffer";
  fault(fmt::format("{} {} bytes of device memory {}, {}",
                    kind == Access::read ? "reads" : "writes", bytes, why,
                    memory_.describe(address + static_cast<std::size_t>(bad - notes))));
}

void Execution::access_shared(std::uintptr_t address, std::size_t bytes, Access kind) {
  if (const char* why = shared_.touch(address, bytes, thread_, kind != Access::read)) {
    const Unjudged unjudged;
    fault(
        fmt::format("{} bytes of shared memory are {}, {}", bytes, why, shared_.describe(address)));
  }
}

}  // namespace ae::simt
