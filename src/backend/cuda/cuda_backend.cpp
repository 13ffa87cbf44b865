#include "backend/cuda/cuda_backend.hpp"

#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nvtx3/nvToolsExt.h>

#include "backend/cuda/blas.hpp"
#include "backend/cuda/blas_lt.hpp"
#include "backend/cuda/dnn_convolution.hpp"
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
        memory_(index_, main_.get(), static_cast<std::size_t>(options.gpu_memory) << 20U),
        uploader_(main_.get()),
        workspace_(memory_, kBlasWorkspaceBytes),
        workspace_beside_(memory_, kBlasWorkspaceBytes),
        blas_(workspace_, main_.get(), is_tf32()),
        blas_beside_(workspace_beside_, beside_.get(), is_tf32()) {
    if (options.gemm == "cublaslt") {
      blas_lt_.emplace(workspace_, main_.get(), is_tf32());
      blas_lt_beside_.emplace(workspace_beside_, beside_.get(), is_tf32());
    }
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
    static_cast<void>(try_join());
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
    const Memory::Capacity capacity = memory_.capacity();
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
    if (!is_planning()) join();
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
    if (!is_planning()) join();
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

  [[nodiscard]] bool is_asynchronous() const override { return true; }

  [[nodiscard]] std::size_t reserve_bytes(std::int64_t rows, std::int64_t units,
                                          Activation activation) const override {
    if (blas_lt_ && activation == Activation::relu) return BlasLt::mask_bytes(rows, units);
    return KernelBackend::reserve_bytes(rows, units, activation);
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
  void multiply(const Product& product) override { multiply(product, blas_lt_, blas_); }
  void multiply_beside(const Product& product) override {
    wait_for(beside_.get(), main_.get(), forked_);
    has_forked_ = true;
    multiply(product, blas_lt_beside_, blas_beside_);
  }
  [[nodiscard]] bool multiply_and_activate(const Product& product,
                                           const DenseForward& op) override {
    // What a reserve held before is no mask, whatever comes of this.
    masks_.erase(op.reserve);
    const bool is_relu = op.activation == Activation::relu;
    if (!blas_lt_ || op.bias == nullptr || !(is_relu || op.activation == Activation::identity)) {
      return false;
    }
    const bool done = blas_lt_->multiply(
        product, {.kind = is_relu ? Epilogue::Kind::bias_relu : Epilogue::Kind::bias,
                  .bias = op.bias,
                  .mask_out = is_relu ? op.reserve : nullptr});
    if (done && is_relu && op.reserve != nullptr) masks_.insert(op.reserve);
    return done;
  }
  [[nodiscard]] bool multiply_and_differentiate(const Product& product,
                                                const DenseBackward& op) override {
    if (op.activation_below != Activation::relu || masks_.count(op.reserve_below) == 0)
      return false;
    return blas_lt_->multiply(product, {.kind = Epilogue::Kind::relu_gradient,
                                        .bias_gradient = op.dbias_below,
                                        .mask_in = op.reserve_below});
  }
  [[nodiscard]] LibraryConvolution* library_convolution(const Convolution& convolution,
                                                        ConvolutionResult result,
                                                        std::int64_t batch) override {
    if (!convolves_by_cudnn(options_)) return nullptr;
    // Loading cuDNN takes time and memory, which models of dense layers are spared.
    if (!convolutions_) convolutions_ = make_dnn_convolutions(memory_, main_.get(), is_tf32());
    return convolutions_->find(convolution, result, batch);
  }
  void join() override { check(try_join(), "cudaStreamWaitEvent"); }
  [[nodiscard]] Stream stream() override { return main_.get(); }

 private:
  [[nodiscard]] bool is_tf32() const { return options_.precision == "tf32"; }

  static void multiply(const Product& product, std::optional<BlasLt>& blas_lt, const Blas& blas) {
    if (!blas_lt || !blas_lt->multiply(product)) blas.multiply(product);
  }

  /// What is put on the main stream from here on waits for the one beside it.
  cudaError_t try_join() noexcept {
    if (!has_forked_) return cudaSuccess;
    has_forked_ = false;
    const cudaError_t recorded = cudaEventRecord(joined_.get(), beside_.get());
    return recorded != cudaSuccess ? recorded : cudaStreamWaitEvent(main_.get(), joined_.get());
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
  Allocation workspace_;
  Allocation workspace_beside_;
  Blas blas_;
  Blas blas_beside_;
  std::optional<BlasLt> blas_lt_;
  std::optional<BlasLt> blas_lt_beside_;
  std::unique_ptr<DnnConvolutions> convolutions_;  ///< from the first on
  std::unordered_set<const void*> masks_;  ///< reserves that hold the mask of their layer's ReLU
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
