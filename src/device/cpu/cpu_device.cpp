#include "device/cpu/cpu_device.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>
#include <utility>
#include <variant>

#include <fmt/format.h>
#include <sched.h>

#include "ae/dataset.hpp"
#include "ae/error.hpp"

#include "cpu/instruction_set.hpp"
#include "device/cpu/schedule.hpp"
#include "device/cpu/thread_pool.hpp"
#include "device/fuse.hpp"

namespace ae {

namespace {

class ScheduledProgram final : public Program {
 public:
  ScheduledProgram(cpu::Schedule schedule, cpu::ThreadPool& pool)
      : schedule_(std::move(schedule)), pool_(pool) {
    schedule_.make_scratch(pool);
  }
  void replay(std::int64_t times) override {
    for (std::int64_t i = 0; i < times; ++i) schedule_.run(pool_);
  }

 private:
  cpu::Schedule schedule_;
  cpu::ThreadPool& pool_;
};

/// A data set on the CPU: gathered from where it lies in host memory.
class HostData final : public ResidentData {
 public:
  explicit HostData(const Dataset& data) : ResidentData(data.rows(), data.row_size()) {
    set_values(data.is_bytes() ? data.bytes().data() : nullptr,
               data.is_bytes() ? nullptr : data.floats().data());
  }
};

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(int threads) : pool_(threads), schedule_(cpu::select_instruction_set()) {}

  [[nodiscard]] int threads() const { return pool_.threads(); }
  [[nodiscard]] std::string name() const override { return "cpu"; }

  [[nodiscard]] void* allocate(std::size_t bytes) override {
    constexpr std::size_t kAlignment = 64;
    // std::aligned_alloc wants whole multiples of the alignment, and some memory even for nothing.
    const std::size_t size =
        std::max((bytes + kAlignment - 1) / kAlignment * kAlignment, kAlignment);
    // NOLINTNEXTLINE(*-no-malloc,*-owning-memory): owned by DeviceArray, which calls deallocate()
    void* memory = size < bytes ? nullptr : std::aligned_alloc(kAlignment, size);
    if (memory == nullptr) {
      throw Error(
          fmt::format("out of memory, on the CPU for a buffer of {} MB, use a smaller batch or "
                      "model",
                      bytes >> 20U));
    }
    std::memset(memory, 0, size);
    return memory;
  }
  // NOLINTNEXTLINE(*-no-malloc,*-owning-memory): see allocate()
  void deallocate(void* memory) noexcept override { std::free(memory); }
  void upload(void* to, const void* from, std::size_t bytes) override { copy(to, from, bytes); }
  void download(void* to, const void* from, std::size_t bytes) override { copy(to, from, bytes); }
  void clear(void* memory, std::size_t bytes) override {
    if (bytes != 0) std::memset(memory, 0, bytes);
  }
  [[nodiscard]] double peek(const double* value) const override { return *value; }
  void synchronize() override {}

  [[nodiscard]] std::unique_ptr<ResidentData> make_resident(const Dataset& data) override {
    return std::make_unique<HostData>(data);
  }

  [[nodiscard]] std::unique_ptr<Program> compile(const Step& step) override {
    cpu::Schedule schedule(schedule_.instruction_set());
    plan(fuse(step), schedule);
    return std::make_unique<ScheduledProgram>(std::move(schedule), pool_);
  }
  void run(const Step& step) override {
    fuse(step, fused_);
    schedule_.clear();
    plan(fused_, schedule_);
    schedule_.run(pool_);
  }

 private:
  static void plan(const Step& step, cpu::Planner& planner) {
    for (const Node& node : step.nodes()) {
      std::visit([&](const auto& op) { cpu::plan(op, planner); }, node.op);
    }
  }

  static void copy(void* to, const void* from, std::size_t bytes) {
    if (bytes != 0) std::memcpy(to, from, bytes);
  }

  cpu::ThreadPool pool_;
  // Of steps that run once; they keep their memory.
  Step fused_;
  cpu::Schedule schedule_;
};

std::string read_cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) {
      const std::size_t colon = line.find(": ");
      if (colon != std::string::npos) return line.substr(colon + 2);
    }
  }
  return "CPU";
}

/// Read once: the kernel takes longer to write that file than a small model to encode a row.
const std::string& cpu_model() {
  static const std::string model = read_cpu_model();
  return model;
}

/// More threads than cores take turns and save no time. Up to four for a core may be asked for, so
/// that a small machine can do as a large one does; beyond, they would cost memory alone.
constexpr int kMostThreadsPerCore = 4;

/// How many threads to start where `asked` are asked for, 0 for every core.
int useful_threads(int asked) {
  const int cores = available_cores();
  return asked > 0 ? std::min(asked, kMostThreadsPerCore * cores) : cores;
}

}  // namespace

std::unique_ptr<Device> make_cpu_device(int threads,
                                        const std::function<void(const std::string&)>& on_notice) {
  const int wanted = useful_threads(threads);
  auto device = std::make_unique<CpuDevice>(wanted);
  if (!on_notice) return device;
  if (device->threads() < wanted) {
    on_notice(
        fmt::format("the system starts {} of {} threads, see ulimit -u and the free memory; the "
                    "numbers are the same",
                    device->threads(), wanted));
  } else if (wanted < threads) {
    on_notice(
        fmt::format("{} threads are of no use on {} core{}, {} compute; the numbers are the same",
                    threads, available_cores(), available_cores() == 1 ? "" : "s", wanted));
  }
  return device;
}

std::string describe_cpu(int threads) {
  const int used = useful_threads(threads);
  return fmt::format("{}, {} thread{}, {}", cpu_model(), used, used == 1 ? "" : "s",
                     to_string(cpu::select_instruction_set()));
}

int available_cores() {
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(CPU_COUNT(&set), 1);
#endif
  return std::max(static_cast<int>(std::thread::hardware_concurrency()), 1);
}

}  // namespace ae
