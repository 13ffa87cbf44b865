#include "simt/machine.hpp"

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

#include "simt/execution.hpp"
#include "simt/fault.hpp"

namespace ae::simt {

namespace {

struct sigaction& previous_action() {
  static struct sigaction action {};
  return action;
}

/// A host that follows a device pointer is told what it did; every other fault is passed on to
/// whoever handled it before.
void on_segmentation_fault(int /*signal*/, siginfo_t* info, void* /*context*/) {
  if (Machine::instance().memory().contains(reinterpret_cast<std::uintptr_t>(info->si_addr))) {
    constexpr char kMessage[] =
        "ae: the host touches device memory; only upload(), download() and kernels may\n";
    static_cast<void>(!write(STDERR_FILENO, kMessage, sizeof(kMessage) - 1));
    std::signal(SIGSEGV, SIG_DFL);
    return;  // to the same instruction, which now ends the program
  }
  sigaction(SIGSEGV, &previous_action(), nullptr);
}

void note_kernel(const std::string& name) {
  if (const char* path = std::getenv("AE_SIMT_KERNELS")) {
    std::ofstream(path, std::ios::app) << name + "\n" << std::flush;
  }
}

/// The execution that the calling kernel thread belongs to.
Execution& running(const char* word) {
  if (Execution* execution = Execution::current()) return *execution;
  throw Fault(fmt::format("{} is for kernels, but the host uses it", word));
}

}  // namespace

Machine& Machine::instance() {
  static Machine device;
  return device;
}

Machine::Machine() {
  struct sigaction action {};
  action.sa_sigaction = on_segmentation_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &action, &previous_action());
}

void Machine::run(const Launch& launch, Order order) {
  const std::lock_guard lock(mutex_);
  if (kernels_.insert(launch.name).second) note_kernel(launch.name);
  Execution(memory_, launch, order).run();
}

void LaunchQueue::launch(Launch launch) {
  if (recording_) {
    recorded_.push_back(std::move(launch));
  } else {
    Machine::instance().run(launch, order_);
  }
}

std::vector<Launch> LaunchQueue::end_recording() {
  recording_ = false;
  return std::exchange(recorded_, {});
}

// ── The words of CUDA ───────────────────────────────────────────────────────────────────────────

uint3 current_thread() {
  return running("threadIdx").thread_index();
}
uint3 current_block() {
  return running("blockIdx").block_index();
}
dim3 current_block_extent() {
  return running("blockDim").shape().block;
}
dim3 current_grid_extent() {
  return running("gridDim").shape().grid;
}
unsigned current_lane() {
  return running("a warp operation").thread() % 32;
}

void __syncthreads(const char* file, int line) {
  running("__syncthreads").synchronize_block({file, line});
}

void __syncwarp(unsigned mask, const char* file, int line) {
  running("__syncwarp").exchange(mask, 0, current_lane(), {file, line});
}

std::uint64_t exchange_in_warp(unsigned mask, std::uint64_t bits, unsigned source, const char* file,
                               int line) {
  return running("a shuffle").exchange(mask, bits, source, {file, line});
}

void touch_atomically(const void* address, std::size_t bytes) {
  const auto number = reinterpret_cast<std::uintptr_t>(address);
  require_alignment(address, bytes);
  running("an atomic operation").access(number, bytes, Execution::Access::atomic);
}

void copy_unchecked(void* to, const void* from, std::size_t bytes) {
  std::memcpy(to, from, bytes);
}

void not_emulated(const char* word) {
  Execution& execution = running(word);
  Execution::end_thread();
  execution.fault(fmt::format("uses {}, which the emulated device does not have", word));
}

void* shared_array(const void* key, const char* name, std::size_t bytes, std::size_t alignment) {
  return running("shared memory").shared_array(key, name, bytes, alignment);
}

void require_alignment(const void* pointer, std::size_t bytes) {
  if (reinterpret_cast<std::uintptr_t>(pointer) % bytes == 0) return;
  Execution& execution = running("an aligned access");
  Execution::end_thread();
  execution.fault(fmt::format("accesses {} bytes at once at an address that is no multiple of {}",
                              bytes, bytes));
}

}  // namespace ae::simt
