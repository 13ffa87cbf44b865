#include "device/cuda/cuda_device.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <nvtx3/nvToolsExt.h>

#include "device/cuda/blas.hpp"
#include "device/cuda/blas_lt.hpp"
#include "device/cuda/dnn_convolution.hpp"
#include "device/cuda/graph.hpp"
#include "device/cuda/handles.hpp"
#include "device/cuda/memory.hpp"
#include "device/cuda/streamed_data.hpp"
#include "device/cuda/upload.hpp"
#include "device/fuse.hpp"
#include "device/kernel/kernel_device.hpp"

namespace ae {

namespace cuda {

namespace {

constexpr double kMiB = 1024.0 * 1024.0;
constexpr double kGiB = 1024.0 * kMiB;
/// Of the free memory, what a resident data set may take: the model must fit beside it.
constexpr double kShareForData = 0.75;
/// From this size on, an upload is worth a progress display.
constexpr std::size_t kLargeUpload = std::size_t{256} << 20U;

/// Limits how far the host runs ahead of a stream. It records an event every kHalf steps and waits
/// for the previous one first, so that at most kMaxStepsAhead steps are pending.
class StepLimit {
 public:
  explicit StepLimit(cudaStream_t stream) : stream_(stream) {}

  /// After a step was put on the stream.
  void note_step() {
    if (++enqueued_ % kHalf != 0) return;
    const auto half = static_cast<std::size_t>(enqueued_ / kHalf % 2);
    Mark& before = marks_.at(1 - half);
    if (before.step > 0) check(cudaEventSynchronize(before.event.get()), "cudaEventSynchronize");
    done_ = std::max(done_, before.step);
    check(cudaEventRecord(marks_.at(half).event.get(), stream_), "cudaEventRecord");
    marks_.at(half).step = enqueued_;
  }
  /// After the stream was waited for.
  void note_all_done() { done_ = enqueued_; }

  /// How many steps may be under way.
  [[nodiscard]] std::int64_t ahead() const {
    std::int64_t done = done_;
    for (const Mark& mark : marks_) {
      if (mark.step <= done) continue;
      if (cudaEventQuery(mark.event.get()) == cudaSuccess) {
        done = mark.step;
      } else {
        static_cast<void>(cudaGetLastError());  // "not ready" must not fail the next launch
      }
    }
    return enqueued_ - done;
  }

 private:
  static constexpr std::int64_t kHalf = kMaxStepsAhead / 2;
  struct Mark {
    OwnedEvent event = make_event();
    std::int64_t step = 0;  ///< whose end it marks; 0 before the first
  };

  cudaStream_t stream_;
  std::int64_t enqueued_ = 0;
  std::int64_t done_ = 0;  ///< at least
  std::array<Mark, 2> marks_;
};

/// cublasLt's ReLU masks: its forward epilogue writes the signs of the pre-activations, its
/// backward epilogue reads them. One for each dense layer whose forward and backward pass are both
/// in a step, found by the address of the layer's output.
class ReluMasks {
 public:
  ReluMasks(Memory& memory, const Step& step) {
    for (const Node& node : step.nodes()) {
      const auto* above = std::get_if<DenseBackward>(&node.op);
      if (above == nullptr || !above->dbias_below.exists() ||
          above->activation_below != Activation::relu) {
        continue;
      }
      const std::size_t bytes = BlasLt::mask_bytes(above->x.rows, above->x.cols);
      masks_[above->x.data].memory = std::make_unique<Allocation>(memory, bytes);
    }
  }

  /// For the forward pass; null where the step has no backward pass of the layer.
  [[nodiscard]] void* to_write(const float* output) {
    const auto found = masks_.find(output);
    return found == masks_.end() ? nullptr : found->second.memory->data();
  }
  void note_written(const float* output, bool is_written) {
    if (const auto found = masks_.find(output); found != masks_.end()) {
      found->second.is_written = is_written;
    }
  }
  /// For the backward pass; null unless the forward pass wrote the mask.
  [[nodiscard]] const void* to_read(const float* output) const {
    const auto found = masks_.find(output);
    return found == masks_.end() || !found->second.is_written ? nullptr
                                                              : found->second.memory->data();
  }

 private:
  struct Mask {
    std::unique_ptr<Allocation> memory;
    bool is_written = false;
  };
  std::unordered_map<const float*, Mask> masks_;
};

/// A step as a CUDA graph, with the batches that are to be streamed to it.
class GraphProgram final : public Program {
 public:
  struct Fed {
    BatchFeed* feed;
    std::int64_t rows;
  };

  GraphProgram(Graph graph, std::vector<Fed> fed, std::optional<ReluMasks> masks, StepLimit& limit)
      : masks_(std::move(masks)), graph_(std::move(graph)), fed_(std::move(fed)), limit_(limit) {}

  void replay(std::int64_t times) override {
    for (std::int64_t i = 0; i < times; ++i) {
      for (const Fed& fed : fed_) fed.feed->before_step(fed.rows, /*counted=*/true);
      graph_.launch();
      for (const Fed& fed : fed_) fed.feed->after_step();
      limit_.note_step();
    }
  }

 private:
  std::optional<ReluMasks> masks_;
  Graph graph_;
  std::vector<Fed> fed_;
  StepLimit& limit_;
};

/// Makes `index` the calling thread's GPU, before anything is made on it.
int select(int index) {
  check(cudaSetDevice(index), "cudaSetDevice");
  return index;
}

class CudaDevice final : public KernelDevice {
 public:
  CudaDevice(int index, const DeviceOptions& options)
      : index_(select(index)),
        options_(options),
        main_(make_stream()),
        side_(make_stream()),
        forked_(make_event()),
        joined_(make_event()),
        memory_(index_, main_.get(), static_cast<std::size_t>(options.gpu_memory) << 20U),
        uploader_(main_.get()),
        workspace_(memory_, kBlasWorkspaceBytes),
        workspace_side_(memory_, kBlasWorkspaceBytes),
        blas_(workspace_, main_.get(), is_tf32()),
        blas_side_(workspace_side_, side_.get(), is_tf32()),
        limit_(main_.get()) {
    if (options.gemm == "cublaslt") {
      blas_lt_.emplace(workspace_, main_.get(), is_tf32());
      blas_lt_side_.emplace(workspace_side_, side_.get(), is_tf32());
    }
    // The workspace for the second stream was allocated on the first.
    wait_for(side_.get(), main_.get(), forked_);
  }

  ~CudaDevice() override {
    static_cast<void>(cudaStreamSynchronize(side_.get()));
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
    if (has_side_work()) static_cast<void>(try_join());
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
    limit_.note_all_done();
  }

  [[nodiscard]] std::unique_ptr<ResidentData> make_resident(const Dataset& data) override {
    const auto bytes = static_cast<double>(data.rows()) * static_cast<double>(data.row_size()) *
                       (data.is_bytes() ? 1 : sizeof(float));
    const Memory::Capacity capacity = memory_.capacity();
    if (bytes <= kShareForData * static_cast<double>(capacity.free)) {
      return KernelDevice::make_resident(data);
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

  [[nodiscard]] std::unique_ptr<Program> compile(const Step& step) override {
    const Step fused = prepare(step);
    std::optional<ReluMasks> masks = masks_for(fused);
    std::vector<GraphProgram::Fed> fed;
    const InUse in_use(*this, masks ? &*masks : nullptr, &fed);
    Graph graph(main_.get(), [&] {
      enqueue(fused);
      join();
    });
    return std::make_unique<GraphProgram>(std::move(graph), std::move(fed), std::move(masks),
                                          limit_);
  }

  void run(const Step& step) override {
    const Step fused = prepare(step);
    std::optional<ReluMasks> masks = masks_for(fused);
    const InUse in_use(*this, masks ? &*masks : nullptr, nullptr);
    enqueue(fused);
  }

  [[nodiscard]] bool is_asynchronous() const override { return true; }
  [[nodiscard]] std::int64_t steps_ahead() const override { return limit_.ahead(); }

  void begin_range(std::string_view what, std::string_view layer) override {
    nvtxRangePushA(layer.empty() ? std::string(what).c_str()
                                 : fmt::format("{} {}", layer, what).c_str());
  }
  void end_range() override { nvtxRangePop(); }

 protected:
  [[nodiscard]] void* allocate_unwritten(std::size_t bytes) override {
    return memory_.allocate(bytes);
  }
  void multiply(const Product& product) override {
    if (!is_rehearsal()) multiply(product, blas_lt_, blas_);
  }
  void multiply_on_side_stream(const Product& product) override {
    wait_for(side_.get(), main_.get(), forked_);
    multiply(product, blas_lt_side_, blas_side_);
  }
  [[nodiscard]] bool multiply_and_activate(const Product& product,
                                           const DenseForward& op) override {
    if (is_rehearsal()) return false;
    const bool is_relu = op.activation == Activation::relu;
    void* const mask = masks_ != nullptr && is_relu ? masks_->to_write(op.y.data) : nullptr;
    const bool done =
        blas_lt_ && op.bias.exists() && (is_relu || op.activation == Activation::identity) &&
        blas_lt_->multiply(product,
                           {.kind = is_relu ? Epilogue::Kind::bias_relu : Epilogue::Kind::bias,
                            .bias = op.bias.data,
                            .mask_out = mask});
    if (masks_ != nullptr) masks_->note_written(op.y.data, done && mask != nullptr);
    return done;
  }
  [[nodiscard]] bool multiply_and_differentiate(const Product& product,
                                                const DenseBackward& op) override {
    if (is_rehearsal()) return false;
    const void* const mask = masks_ != nullptr && op.activation_below == Activation::relu
                                 ? masks_->to_read(op.x.data)
                                 : nullptr;
    return mask != nullptr && blas_lt_->multiply(product, {.kind = Epilogue::Kind::relu_gradient,
                                                           .bias_gradient = op.dbias_below.data,
                                                           .mask_in = mask});
  }
  [[nodiscard]] bool convolve(const ConvolutionCall& call) override {
    if (!convolves_by_cudnn(options_)) return false;
    // Loading cuDNN takes time and memory, which models of dense layers are spared.
    if (!convolutions_) convolutions_ = make_dnn_convolutions(memory_, main_.get(), is_tf32());
    LibraryConvolution* const found =
        convolutions_->find(call.convolution, call.result, call.batch);
    if (found != nullptr && !is_rehearsal()) found->run(call.first, call.second, call.to);
    return found != nullptr;
  }
  void join_side_stream() override { check(try_join(), "cudaStreamWaitEvent"); }
  [[nodiscard]] Stream stream() override { return main_.get(); }

  [[nodiscard]] bool gather_from_host(const GatherBatch& op) override {
    auto* const streamed = dynamic_cast<StreamedData*>(op.data);
    if (streamed == nullptr) return false;
    BatchFeed& feed = streamed->batches(op);
    if (is_rehearsal()) return true;
    if (recording_ != nullptr) {
      recording_->push_back({&feed, op.x.rows});
      feed.gather(op, *this);
      return true;
    }
    feed.before_step(op.x.rows, /*counted=*/false);
    feed.gather(op, *this);
    feed.after_step();
    return true;
  }
  [[nodiscard]] bool gather_from_host(const GatherRows& op) override {
    auto* const streamed = dynamic_cast<StreamedData*>(op.data);
    if (streamed == nullptr) return false;
    if (!is_rehearsal()) streamed->gather_rows(op, *this);
    return true;
  }

 private:
  [[nodiscard]] bool is_tf32() const { return options_.precision == "tf32"; }

  static void multiply(const Product& product, std::optional<BlasLt>& blas_lt, const Blas& blas) {
    if (!blas_lt || !blas_lt->multiply(product)) blas.multiply(product);
  }

  /// What is put on the main stream from here on waits for the side stream.
  cudaError_t try_join() noexcept {
    const cudaError_t recorded = cudaEventRecord(joined_.get(), side_.get());
    return recorded != cudaSuccess ? recorded : cudaStreamWaitEvent(main_.get(), joined_.get());
  }

  /// The fused step, with all that it needs allocated.
  Step prepare(const Step& step) {
    Step fused = fuse(step);
    rehearse(fused);
    return fused;
  }

  [[nodiscard]] std::optional<ReluMasks> masks_for(const Step& step) {
    if (!blas_lt_) return std::nullopt;
    return std::optional<ReluMasks>(std::in_place, memory_, step);
  }

  /// Sets what launches need of the step that is being enqueued, for as long as it lives.
  class InUse {
   public:
    InUse(CudaDevice& device, ReluMasks* masks, std::vector<GraphProgram::Fed>* recording)
        : device_(device) {
      if (recording != nullptr) device_.join();
      device_.masks_ = masks;
      device_.recording_ = recording;
    }
    InUse(const InUse&) = delete;
    InUse& operator=(const InUse&) = delete;
    ~InUse() {
      device_.masks_ = nullptr;
      device_.recording_ = nullptr;
    }

   private:
    CudaDevice& device_;
  };

  int index_;
  DeviceOptions options_;
  OwnedStream main_;
  OwnedStream side_;  ///< for weight gradients, which nothing waits for before the optimiser
  OwnedEvent forked_;
  OwnedEvent joined_;
  Memory memory_;
  Uploader uploader_;
  Allocation workspace_;
  Allocation workspace_side_;
  Blas blas_;
  Blas blas_side_;
  std::optional<BlasLt> blas_lt_;
  std::optional<BlasLt> blas_lt_side_;
  std::unique_ptr<DnnConvolutions> convolutions_;  ///< from the first on
  StepLimit limit_;
  // Of the step that is being enqueued; null otherwise:
  ReluMasks* masks_ = nullptr;
  std::vector<GraphProgram::Fed>* recording_ = nullptr;
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

std::unique_ptr<Device> make_cuda_device(int index, const DeviceOptions& options) {
  return std::make_unique<cuda::CudaDevice>(index, options);
}

}  // namespace ae
