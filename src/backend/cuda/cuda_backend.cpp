#include "backend/cuda/cuda_backend.hpp"

#include <limits>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <nvtx3/nvToolsExt.h>

#include "backend/cuda/blas.hpp"
#include "backend/cuda/graph.hpp"
#include "backend/cuda/handles.hpp"
#include "backend/cuda/memory.hpp"
#include "backend/cuda/streamed_data.hpp"
#include "backend/cuda/upload.hpp"
#include "backend/kernel/kernel_backend.hpp"

namespace ae {

namespace cuda {

namespace {

constexpr double kMiB = 1024.0 * 1024.0;
constexpr double kGiB = 1024.0 * kMiB;
/// Of the free memory, what a resident data set may take: the model must fit beside it.
constexpr double kShareForData = 0.75;
/// From this size on, an upload is worth a progress display.
constexpr std::size_t kLargeUpload = std::size_t{256} << 20U;

/// A step as a CUDA graph, with the batches that are to be streamed to it.
class GraphStep final : public RecordedStep {
 public:
  struct Fed {
    BatchFeed* feed;
    std::int64_t rows;
  };

  GraphStep(Graph graph, std::vector<Fed> fed) : graph_(std::move(graph)), fed_(std::move(fed)) {}

  void replay() override {
    for (const Fed& fed : fed_) fed.feed->before_step(fed.rows, /*counted=*/true);
    graph_.launch();
    for (const Fed& fed : fed_) fed.feed->after_step();
  }

 private:
  Graph graph_;
  std::vector<Fed> fed_;
};

/// Makes `index` the calling thread's GPU, before anything is made on it.
int select(int index) {
  check(cudaSetDevice(index), "cudaSetDevice");
  return index;
}

class CudaBackend final : public KernelBackend {
 public:
  CudaBackend(int index, const DeviceOptions& options)
      : index_(select(index)),
        options_(options),
        main_(make_stream()),
        beside_(make_stream()),
        forked_(make_event()),
        joined_(make_event()),
        memory_(index_, main_.get()),
        uploader_(main_.get()),
        blas_(memory_, main_.get(), options.precision == "tf32"),
        blas_beside_(memory_, beside_.get(), options.precision == "tf32") {
    // The workspace for the second stream was allocated on the first.
    wait_for(beside_.get(), main_.get(), forked_);
  }

  ~CudaBackend() override {
    static_cast<void>(cudaStreamSynchronize(beside_.get()));
    static_cast<void>(cudaStreamSynchronize(main_.get()));
    release_scratch();
  }

  [[nodiscard]] std::string name() const override { return fmt::format("cuda:{}", index_); }

  [[nodiscard]] void* allocate(std::size_t bytes) override {
    void* memory = memory_.allocate(bytes);
    const cudaError_t status = cudaMemsetAsync(memory, 0, bytes, main_.get());
    if (status != cudaSuccess) memory_.deallocate(memory);
    check(status, "cudaMemsetAsync");
    return memory;
  }
  void deallocate(void* memory) noexcept override {
    join_quietly();
    memory_.deallocate(memory);
  }
  void upload(void* to, const void* from, std::size_t bytes) override {
    join();
    uploader_.upload(to, from, bytes,
                     bytes >= kLargeUpload ? options_.on_upload : Uploader::Progress{});
  }
  void download(void* to, const void* from, std::size_t bytes) override {
    join();
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, main_.get()), "cudaMemcpyAsync");
    synchronize();
  }
  void clear(void* memory, std::size_t bytes) override {
    join();
    check(cudaMemsetAsync(memory, 0, bytes, main_.get()), "cudaMemsetAsync");
  }
  [[nodiscard]] double peek(const double* /*value*/) const override {
    return std::numeric_limits<double>::quiet_NaN();
  }
  void synchronize() override {
    join();
    check(cudaStreamSynchronize(main_.get()), "cudaStreamSynchronize");
  }

  [[nodiscard]] std::unique_ptr<ResidentData> make_resident(const Dataset& data) override {
    const auto bytes = static_cast<double>(data.rows()) * static_cast<double>(data.row_size()) *
                       (data.is_bytes() ? 1 : sizeof(float));
    const Memory::Capacity capacity = Memory::capacity();
    if (bytes <= kShareForData * static_cast<double>(capacity.free)) {
      return KernelBackend::make_resident(data);
    }
    if (options_.on_notice) {
      options_.on_notice(fmt::format(
          "{} needs {:.1f} MiB on the GPU, of whose {:.1f} MiB {:.1f} are free: its batches are "
          "streamed from host memory while the GPU computes",
          data.source(), bytes / kMiB, static_cast<double>(capacity.total) / kMiB,
          static_cast<double>(capacity.free) / kMiB));
    }
    return std::make_unique<StreamedData>(*this, memory_, data, main_.get());
  }

  void gather_batch(const GatherBatch& op) override {
    auto* const streamed = streamed_data(op.data);
    if (streamed == nullptr) {
      KernelBackend::gather_batch(op);
      return;
    }
    BatchFeed& feed = streamed->batches(op);
    if (is_planning()) return;
    if (recording_ != nullptr) {
      recording_->push_back({&feed, op.x.rows});
      feed.gather(op, main_.get());
      return;
    }
    feed.before_step(op.x.rows, /*counted=*/false);
    feed.gather(op, main_.get());
    feed.after_step();
  }

  void gather_rows(const GatherRows& op) override {
    auto* const streamed = streamed_data(op.data);
    if (streamed == nullptr) {
      KernelBackend::gather_rows(op);
    } else if (!is_planning()) {
      streamed->gather_rows(op, main_.get());
    }
  }

  [[nodiscard]] std::unique_ptr<RecordedStep> record(std::function<void()> step) override {
    plan(step);
    join();
    std::vector<GraphStep::Fed> fed;
    recording_ = &fed;
    try {
      Graph graph(main_.get(), [&] {
        step();
        join();
      });
      recording_ = nullptr;
      return std::make_unique<GraphStep>(std::move(graph), std::move(fed));
    } catch (...) {
      recording_ = nullptr;
      has_forked_ = false;
      throw;
    }
  }

  void begin_range(std::string_view what, std::string_view layer) override {
    nvtxRangePushA(layer.empty() ? std::string(what).c_str()
                                 : fmt::format("{} {}", layer, what).c_str());
  }
  void end_range() override { nvtxRangePop(); }

 protected:
  [[nodiscard]] void* allocate_unwritten(std::size_t bytes) override {
    return memory_.allocate(bytes);
  }
  void multiply(const Product& product) override { blas_.multiply(product); }
  void multiply_beside(const Product& product) override {
    wait_for(beside_.get(), main_.get(), forked_);
    has_forked_ = true;
    blas_beside_.multiply(product);
  }
  void join() override {
    if (!has_forked_) return;
    has_forked_ = false;
    wait_for(main_.get(), beside_.get(), joined_);
  }
  [[nodiscard]] Stream stream() override { return main_.get(); }

 private:
  void join_quietly() noexcept {
    if (!has_forked_) return;
    has_forked_ = false;
    static_cast<void>(cudaEventRecord(joined_.get(), beside_.get()));
    static_cast<void>(cudaStreamWaitEvent(main_.get(), joined_.get()));
  }

  static StreamedData* streamed_data(ResidentData* data) {
    return dynamic_cast<StreamedData*>(data);
  }

  int index_;
  DeviceOptions options_;
  OwnedStream main_;
  OwnedStream beside_;  ///< for weight gradients, which nothing waits for before the optimiser
  OwnedEvent forked_;
  OwnedEvent joined_;
  Memory memory_;
  Uploader uploader_;
  Blas blas_;
  Blas blas_beside_;
  bool has_forked_ = false;
  std::vector<GraphStep::Fed>* recording_ = nullptr;
};

std::string describe(int index) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, index), "cudaGetDeviceProperties");
  return fmt::format("{}, compute capability {}.{}, {:.1f} GiB", properties.name, properties.major,
                     properties.minor, static_cast<double>(properties.totalGlobalMem) / kGiB);
}

}  // namespace

}  // namespace cuda

std::vector<DeviceInfo> list_cuda_devices() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    static_cast<void>(cudaGetLastError());
    std::string why = "no GPU: ";
    if (status == cudaErrorNoDevice || status == cudaSuccess) {
      why += "the driver lists none (see nvidia-smi)";
    } else if (status == cudaErrorInsufficientDriver) {
      int driver = 0;
      static_cast<void>(cudaDriverGetVersion(&driver));
      why += driver == 0 ? "no NVIDIA driver is loaded"
                         : fmt::format("the NVIDIA driver is too old, for CUDA {}.{}",
                                       driver / 1000, driver % 1000 / 10);
    } else {
      why += cudaGetErrorString(status);
    }
    return {{"cuda", "NVIDIA GPU", false, why}};
  }
  std::vector<DeviceInfo> devices;
  for (int index = 0; index < count; ++index) {
    devices.push_back({fmt::format("cuda:{}", index), cuda::describe(index), true, ""});
  }
  return devices;
}

std::unique_ptr<Backend> make_cuda_backend(int index, const DeviceOptions& options) {
  return std::make_unique<cuda::CudaBackend>(index, options);
}

}  // namespace ae
