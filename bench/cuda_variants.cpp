// The kernels of training beside what does the same without them. Each variant is recorded into a
// graph that repeats it, so that what is timed is the device's work and not the host's calls.

#include "cuda_variants.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "activation/activation_kernels.hpp"
#include "device/cuda/blas.hpp"
#include "device/cuda/blas_lt.hpp"
#if AE_HAS_CUDNN
#include "device/cuda/dnn.hpp"
#endif
#include "device/cuda/graph.hpp"
#include "device/cuda/handles.hpp"
#include "device/cuda/memory.hpp"
#include "device/cuda/stream_context.hpp"
#include "device/cuda/upload.hpp"
#include "formulas/philox.hpp"
#include "loss/reconstruction_loss.hpp"
#include "loss/row_losses.hpp"
#include "optimizer/optimizer_step.hpp"

namespace ae {

namespace cuda {

namespace {

constexpr int kRepeats = 20;  // of a variant within its graph
constexpr int kSamples = 15;  // of that graph

/// What the variants work on, with random numbers in it.
class Arrays {
 public:
  Arrays(Memory& memory, cudaStream_t stream) : memory_(memory), uploader_(stream) {}

  [[nodiscard]] float* random(std::int64_t size) {
    std::vector<float> values(static_cast<std::size_t>(size));
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = to_unit_float(philox_.word(RandomPurpose::synthetic_data, stream_, i));
    }
    ++stream_;
    return filled(values);
  }
  [[nodiscard]] float* constant(std::int64_t size, float value) {
    return filled(std::vector<float>(static_cast<std::size_t>(size), value));
  }
  /// Zeros, of any type.
  template <typename T>
  [[nodiscard]] T* zeros(std::int64_t size) {
    return filled(std::vector<T>(static_cast<std::size_t>(size)));
  }

 private:
  template <typename T>
  [[nodiscard]] T* filled(const std::vector<T>& values) {
    owned_.push_back(std::make_unique<Allocation>(memory_, values.size() * sizeof(T)));
    uploader_.upload(owned_.back()->data(), values.data(), values.size() * sizeof(T));
    return static_cast<T*>(owned_.back()->data());
  }

  Memory& memory_;
  Uploader uploader_;
  Philox philox_{1};
  std::uint32_t stream_ = 0;
  std::vector<std::unique_ptr<Allocation>> owned_;
};

OwnedEvent make_clock() {
  OwnedEvent event;
  check(cudaEventCreate(event.out()), "cudaEventCreate");
  return event;
}

class Variants {
 public:
  Variants(const DeviceOptions& options, std::int64_t batch, std::int64_t inputs,
           std::int64_t units)
      : batch_(batch),
        inputs_(inputs),
        units_(units),
        stream_(make_stream()),
        memory_(current_device(), stream_.get(),
                static_cast<std::size_t>(options.gpu_memory) << 20U),
        workspace_(memory_, kBlasWorkspaceBytes),
        blas_(workspace_, stream_.get(), options.precision == "tf32"),
        blas_lt_(workspace_, stream_.get(), options.precision == "tf32"),
        arrays_(memory_, stream_.get()),
        context_(memory_, stream_.get()) {
#if AE_HAS_CUDNN
    dnn_.emplace(stream_.get());
#endif
  }
  ~Variants() {
    static_cast<void>(cudaStreamSynchronize(stream_.get()));
  }
  Variants(const Variants&) = delete;
  Variants& operator=(const Variants&) = delete;

  [[nodiscard]] std::vector<VariantTime> run() {
    time_hidden_forward();
    time_bias_and_activation();
    time_hidden_gradient();
    time_activation_gradient();
    time_loss();
    time_adam();
    return std::move(times_);
  }

 private:
  static int current_device() {
    int device = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    return device;
  }

  /// y = relu(x·W + b).
  void time_hidden_forward() {
    work_ = "hidden forward";
    const float* x = arrays_.random(batch_ * inputs_);
    const float* w = arrays_.random(inputs_ * units_);
    const float* bias = arrays_.random(units_);
    float* y = arrays_.random(batch_ * units_);
    void* mask = arrays_.zeros<std::byte>(mask_bytes());
    const Product product{.m = batch_, .n = units_, .k = inputs_, .a = x, .b = w, .c = y};

    ours("cuBLAS, our bias + ReLU", [&] {
      blas_.multiply(product);
      bias_activation(Activation::relu, bias, y, nullptr, batch_, units_, context_);
    });
    other("cuBLAS alone", [&] { blas_.multiply(product); });
    other("cuBLAS, bias, ReLU: a kernel each", [&] {
      blas_.multiply(product);
      bias_activation(Activation::identity, bias, y, nullptr, batch_, units_, context_);
      bias_activation(Activation::relu, nullptr, y, nullptr, batch_, units_, context_);
    });
    const Epilogue epilogue{.kind = Epilogue::Kind::bias_relu, .bias = bias, .mask_out = mask};
    if (blas_lt_.multiply(product, epilogue)) {
      other("cublasLt, bias + ReLU in its epilogue",
            [&] { static_cast<void>(blas_lt_.multiply(product, epilogue)); });
    }
#if AE_HAS_CUDNN
    other("cuBLAS, cuDNN's bias, cuDNN's ReLU", [&] {
      blas_.multiply(product);
      dnn_->add_bias(bias, y, batch_, units_);
      dnn_->activate(Activation::relu, y, batch_, units_);
    });
#endif
  }

  /// y = sigmoid(y + b), on the wide side, where there is more to do.
  void time_bias_and_activation() {
    work_ = "bias + sigmoid";
    const float* bias = arrays_.random(inputs_);
    float* y = arrays_.random(batch_ * inputs_);
    ours("our one kernel", [&] {
      bias_activation(Activation::sigmoid, bias, y, nullptr, batch_, inputs_, context_);
    });
    other("a kernel each", [&] {
      bias_activation(Activation::identity, bias, y, nullptr, batch_, inputs_, context_);
      bias_activation(Activation::sigmoid, nullptr, y, nullptr, batch_, inputs_, context_);
    });
#if AE_HAS_CUDNN
    other("cuDNN's two", [&] {
      dnn_->add_bias(bias, y, batch_, inputs_);
      dnn_->activate(Activation::sigmoid, y, batch_, inputs_);
    });
#endif
  }

  /// dx = (dz·Wᵀ) ⊙ relu'(z), db = its column sums.
  void time_hidden_gradient() {
    work_ = "hidden gradient";
    const float* dz = arrays_.random(batch_ * inputs_);
    const float* w = arrays_.random(units_ * inputs_);
    const float* y = arrays_.random(batch_ * units_);
    float* dx = arrays_.random(batch_ * units_);
    float* dbias = arrays_.random(units_);
    const void* mask = arrays_.zeros<std::byte>(mask_bytes());
    const Product product{
        .transpose_b = true, .m = batch_, .n = units_, .k = inputs_, .a = dz, .b = w, .c = dx};

    ours("cuBLAS, our ReLU + bias gradient", [&] {
      blas_.multiply(product);
      activation_gradient(Activation::relu, y, dx, batch_, units_, dbias, context_);
    });
    other("cuBLAS alone", [&] { blas_.multiply(product); });
    const Epilogue epilogue{
        .kind = Epilogue::Kind::relu_gradient, .bias_gradient = dbias, .mask_in = mask};
    if (blas_lt_.multiply(product, epilogue)) {
      other("cublasLt, both in its epilogue",
            [&] { static_cast<void>(blas_lt_.multiply(product, epilogue)); });
    }
#if AE_HAS_CUDNN
    other("cuBLAS, cuDNN's ReLU gradient, its bias gradient", [&] {
      blas_.multiply(product);
      dnn_->activation_gradient(Activation::relu, y, dx, batch_, units_);
      dnn_->column_sums(dx, batch_, units_, dbias);
    });
#endif
  }

  /// The same without the product, on the wide side.
  void time_activation_gradient() {
    work_ = "sigmoid + bias gradient";
    const float* y = arrays_.random(batch_ * inputs_);
    float* dx = arrays_.random(batch_ * inputs_);
    float* dbias = arrays_.random(inputs_);
    ours("our one kernel", [&] {
      activation_gradient(Activation::sigmoid, y, dx, batch_, inputs_, dbias, context_);
    });
#if AE_HAS_CUDNN
    other("cuDNN's two", [&] {
      dnn_->activation_gradient(Activation::sigmoid, y, dx, batch_, inputs_);
      dnn_->column_sums(dx, batch_, inputs_, dbias);
    });
#endif
  }

  /// Loss, gradient and bias gradient of the output layer, from logits without bias.
  void time_loss() {
    work_ = "output loss";
    const float* z = arrays_.random(batch_ * inputs_);
    const float* bias = arrays_.random(inputs_);
    const float* target = arrays_.random(batch_ * inputs_);
    float* dz = arrays_.random(batch_ * inputs_);
    float* dbias = arrays_.random(inputs_);
    auto* loss_sum = arrays_.zeros<double>(1);
    auto* row_sums = arrays_.zeros<double>(batch_);
    const float* no_bias = arrays_.constant(inputs_, 0);
    const float* ones = arrays_.constant(batch_, 1);
    const float scale = 1.0F / static_cast<float>(batch_ * inputs_);

    const auto matrix = [&]<typename T>(T* data) { return Tensor<T>{data, batch_, inputs_}; };
    ours("our one pass", [&] {
      launch(ReconstructionLoss{.z = matrix(z),
                                .bias = vector_of(bias, inputs_),
                                .target = matrix(target),
                                .gradient_scale = scale,
                                .dz = matrix(dz),
                                .dbias = vector_of(dbias, inputs_),
                                .loss_sum = scalar_of(loss_sum)},
             context_);
    });
    // bias, loss, sigmoid, minus target, times scale, bias gradient.
    other("six kernels", [&] {
      const float one = 1;
      const float zero = 0;
      const float minus_one = -1;
      const int count = static_cast<int>(batch_ * inputs_);
      const int cols = static_cast<int>(inputs_);
      bias_activation(Activation::identity, bias, dz, nullptr, batch_, inputs_, context_);
      launch(RowLosses{.z = matrix(static_cast<const float*>(dz)),
                       .bias = vector_of(no_bias, inputs_),
                       .target = matrix(target),
                       .sums = {row_sums, batch_, 1}},
             context_);
      bias_activation(Activation::sigmoid, nullptr, dz, nullptr, batch_, inputs_, context_);
      check(cublasSaxpy(blas_.handle(), count, &minus_one, target, 1, dz, 1), "cublasSaxpy");
      check(cublasSscal(blas_.handle(), count, &scale, dz, 1), "cublasSscal");
      check(cublasSgemv(blas_.handle(), CUBLAS_OP_N, cols, static_cast<int>(batch_), &one, dz, cols,
                        ones, 1, &zero, dbias, 1),
            "cublasSgemv");
    });
  }

  /// Adam over the seed model's kind of parameters: one launch, and one a tensor.
  void time_adam() {
    work_ = "Adam";
    const std::int64_t weight = inputs_ * units_;
    const std::int64_t sizes[] = {weight, units_, weight, inputs_};
    const std::int64_t count = 2 * weight + units_ + inputs_;
    float* const parameters = arrays_.random(count);
    const float* const gradients = arrays_.random(count);
    float* const first = arrays_.random(count);
    float* const second = arrays_.random(count);
    auto* const step = arrays_.zeros<std::int64_t>(1);
    const auto update = [&](std::int64_t begin, std::int64_t size) {
      launch(OptimizerStep{.parameters = vector_of(parameters + begin, size),
                           .gradients = vector_of(gradients + begin, size),
                           .first = vector_of(first + begin, size),
                           .second = vector_of(second + begin, size),
                           .step = scalar_of(step)},
             context_);
    };
    ours("one launch for all parameters", [&] { update(0, count); });
    other("a launch a tensor", [&] {
      std::int64_t begin = 0;
      for (const std::int64_t size : sizes) {
        update(begin, size);
        begin += size;
      }
    });
  }

  void ours(std::string variant, const std::function<void()>& sequence) {
    time(std::move(variant), true, sequence);
  }
  void other(std::string variant, const std::function<void()>& sequence) {
    time(std::move(variant), false, sequence);
  }

  void time(std::string variant, bool is_ours, const std::function<void()>& sequence) {
    sequence();  // what libraries load or choose at a first call is no part of the work
    const Graph graph(stream_.get(), [&] {
      for (int i = 0; i < kRepeats; ++i) sequence();
    });
    graph.launch();
    std::vector<double> seconds;
    for (int i = 0; i < kSamples; ++i) {
      check(cudaEventRecord(start_.get(), stream_.get()), "cudaEventRecord");
      graph.launch();
      check(cudaEventRecord(stop_.get(), stream_.get()), "cudaEventRecord");
      check(cudaEventSynchronize(stop_.get()), "cudaEventSynchronize");
      float milliseconds = 0;
      check(cudaEventElapsedTime(&milliseconds, start_.get(), stop_.get()), "cudaEventElapsedTime");
      seconds.push_back(1e-3 * static_cast<double>(milliseconds) / kRepeats);
    }
    std::sort(seconds.begin(), seconds.end());
    times_.push_back({work_, std::move(variant), is_ours, seconds[seconds.size() / 2],
                      seconds.front(), seconds.back()});
  }

  [[nodiscard]] std::int64_t mask_bytes() const {
    return static_cast<std::int64_t>(BlasLt::mask_bytes(batch_, units_));
  }

  std::int64_t batch_;
  std::int64_t inputs_;
  std::int64_t units_;
  OwnedStream stream_;
  Memory memory_;
  Allocation workspace_;
  Blas blas_;
  BlasLt blas_lt_;
#if AE_HAS_CUDNN
  std::optional<Dnn> dnn_;
#endif
  Arrays arrays_;
  StreamContext context_;
  OwnedEvent start_ = make_clock();
  OwnedEvent stop_ = make_clock();
  std::string work_;
  std::vector<VariantTime> times_;
};

}  // namespace

}  // namespace cuda

std::vector<VariantTime> time_cuda_variants(const DeviceOptions& options, std::int64_t batch,
                                            std::int64_t inputs, std::int64_t units) {
  return cuda::Variants(options, batch, inputs, units).run();
}

}  // namespace ae
