#include "backend/cpu/cpu_backend.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <sched.h>

#include "ae/error.hpp"

#include "backend/cpu/schedule.hpp"
#include "backend/cpu/thread_pool.hpp"
#include "backend/cpu/vector_kernels.hpp"

namespace ae {

namespace {

class ScheduledStep final : public RecordedStep {
 public:
  ScheduledStep(cpu::Schedule schedule, cpu::ThreadPool& pool, const cpu::VectorKernels& kernels)
      : schedule_(std::move(schedule)), pool_(pool), kernels_(kernels) {
    schedule_.make_scratch(pool);
  }
  void replay() override { schedule_.run(pool_, kernels_); }

 private:
  cpu::Schedule schedule_;
  cpu::ThreadPool& pool_;
  const cpu::VectorKernels& kernels_;
};

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(int threads) : pool_(threads), kernels_(cpu::select_vector_kernels()) {}

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
    return std::make_unique<cpu::HostData>(data);
  }

  void gather_batch(const GatherBatch& op) override { submit(op); }
  void gather_rows(const GatherRows& op) override { submit(op); }
  void transpose(const Transpose& op) override { submit(op); }
  void dense_forward(const DenseForward& op) override { submit(op); }
  void dense_backward(const DenseBackward& op) override { submit(op); }
  void convolution_forward(const ConvolutionForward& op) override { submit(op); }
  void convolution_backward(const ConvolutionBackward& op) override { submit(op); }
  void max_pool_forward(const MaxPoolForward& op) override { submit(op); }
  void max_pool_backward(const MaxPoolBackward& op) override { submit(op); }
  void upsample_forward(const UpsampleForward& op) override { submit(op); }
  void upsample_backward(const UpsampleBackward& op) override { submit(op); }
  void activation_backward(const ActivationBackward& op) override { submit(op); }
  void reconstruction_loss(const ReconstructionLoss& op) override { submit(op); }
  void row_losses(const RowLosses& op) override { submit(op); }
  void corrupt_batch(const CorruptBatch& op) override { submit(op); }
  void keep_largest(const KeepLargest& op) override { submit(op); }
  void dropout_forward(const DropoutForward& op) override { submit(op); }
  void dropout_backward(const DropoutBackward& op) override { submit(op); }
  void layer_norm_forward(const LayerNormForward& op) override { submit(op); }
  void layer_norm_backward(const LayerNormBackward& op) override { submit(op); }
  void batch_norm_forward(const BatchNormForward& op) override { submit(op); }
  void batch_norm_backward(const BatchNormBackward& op) override { submit(op); }
  void sparsity_backward(const SparsityBackward& op) override { submit(op); }
  void gaussian_sample(const GaussianSample& op) override { submit(op); }
  void gaussian_backward(const GaussianBackward& op) override { submit(op); }
  void clip_scale(const ClipScale& op) override { submit(op); }
  void optimizer_step(const OptimizerStep& op) override { submit(op); }

  [[nodiscard]] std::unique_ptr<RecordedStep> record(std::function<void()> step) override {
    schedule_.clear();
    const Recording recording(recording_);
    step();
    return std::make_unique<ScheduledStep>(std::exchange(schedule_, {}), pool_, kernels_);
  }

 private:
  /// Sets a mark for as long as it lives.
  class Recording {
   public:
    explicit Recording(bool& mark) : mark_(mark) { mark_ = true; }
    ~Recording() { mark_ = false; }
    Recording(const Recording&) = delete;
    Recording& operator=(const Recording&) = delete;

   private:
    bool& mark_;
  };

  static void copy(void* to, const void* from, std::size_t bytes) {
    if (bytes != 0) std::memcpy(to, from, bytes);
  }

  template <typename Operation>
  void submit(const Operation& op) {
    if (!recording_) schedule_.clear();
    schedule_.add(op);
    if (!recording_) schedule_.run(pool_, kernels_);
  }

  cpu::ThreadPool pool_;
  const cpu::VectorKernels& kernels_;
  cpu::Schedule schedule_;  ///< of the step being recorded, or of one operation at a time
  bool recording_ = false;
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

std::unique_ptr<Backend> make_cpu_backend(
    int threads, const std::function<void(const std::string&)>& on_notice) {
  const int wanted = useful_threads(threads);
  auto backend = std::make_unique<CpuBackend>(wanted);
  if (!on_notice) return backend;
  if (backend->threads() < wanted) {
    on_notice(
        fmt::format("the system starts {} of {} threads, see ulimit -u and the free memory; the "
                    "numbers are the same",
                    backend->threads(), wanted));
  } else if (wanted < threads) {
    on_notice(
        fmt::format("{} threads are of no use on {} core{}, {} compute; the numbers are the same",
                    threads, available_cores(), available_cores() == 1 ? "" : "s", wanted));
  }
  return backend;
}

std::string describe_cpu(int threads) {
  const int used = useful_threads(threads);
  return fmt::format("{}, {} thread{}, {}", cpu_model(), used, used == 1 ? "" : "s",
                     cpu::select_vector_kernels().instruction_set);
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
