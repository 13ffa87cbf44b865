#include "device/cuda/dnn_convolution.hpp"

#include <array>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include <cudnn.h>

#include "dense/transpose.hpp"
#include "device/cuda/dnn.hpp"
#include "device/cuda/handles.hpp"
#include "device/cuda/stream_context.hpp"

namespace ae::cuda {

namespace {

using Tensor = Owner<cudnnTensorDescriptor_t, cudnnDestroyTensorDescriptor>;
using Filter = Owner<cudnnFilterDescriptor_t, cudnnDestroyFilterDescriptor>;
using Description = Owner<cudnnConvolutionDescriptor_t, cudnnDestroyConvolutionDescriptor>;

constexpr float kOne = 1;
constexpr float kZero = 0;

/// Memory for one thing after the other on a stream. What it outgrows stays, since recorded steps
/// point to it.
class GrowingMemory {
 public:
  explicit GrowingMemory(Memory& memory) : memory_(memory) {}

  void reserve(std::size_t size) {
    if (size > bytes()) owned_.push_back(std::make_unique<Allocation>(memory_, size));
  }
  [[nodiscard]] void* data() const { return owned_.empty() ? nullptr : owned_.back()->data(); }
  [[nodiscard]] std::size_t bytes() const { return owned_.empty() ? 0 : owned_.back()->bytes(); }

 private:
  Memory& memory_;
  std::vector<std::unique_ptr<Allocation>> owned_;
};

/// What all convolutions of a run have in common: cuDNN on one stream, and memory to work in.
struct Shared {
  Shared(Memory& memory_, cudaStream_t stream_, bool tf32_)
      : memory(memory_),
        stream(stream_),
        tf32(tf32_),
        workspace(memory_),
        filter(memory_),
        context(memory_, stream_) {
    check(cudnnCreate(handle.out()), "cudnnCreate");
    check(cudnnSetStream(handle.get(), stream), "cudnnSetStream");
  }

  Memory& memory;
  cudaStream_t stream;
  bool tf32;
  Owner<cudnnHandle_t, cudnnDestroy> handle;
  GrowingMemory workspace;  ///< an algorithm's
  GrowingMemory filter;     ///< the weights as cuDNN has them
  StreamContext context;    ///< for our transposes
};

/// A geometry and a batch in cuDNN's words.
struct Descriptors {
  Tensor images;
  Tensor maps;
  Filter filter;
  Description convolution;
};

/// Where an algorithm works.
struct Workspace {
  void* data;
  std::size_t bytes;
};

// ── cuDNN's functions for each result ───────────────────────────────────────────────────────────

struct ToMaps {
  static constexpr ConvolutionResult kResult = ConvolutionResult::maps;
  using Found = cudnnConvolutionFwdAlgoPerf_t;
  using Algorithm = cudnnConvolutionFwdAlgo_t;

  static cudnnStatus_t find(cudnnHandle_t handle, const Descriptors& d, std::span<Found> found,
                            int* count) {
    return cudnnGetConvolutionForwardAlgorithm_v7(
        handle, d.images.get(), d.filter.get(), d.convolution.get(), d.maps.get(),
        static_cast<int>(found.size()), count, found.data());
  }
  static cudnnStatus_t workspace_bytes(cudnnHandle_t handle, const Descriptors& d,
                                       Algorithm algorithm, std::size_t* bytes) {
    return cudnnGetConvolutionForwardWorkspaceSize(handle, d.images.get(), d.filter.get(),
                                                   d.convolution.get(), d.maps.get(), algorithm,
                                                   bytes);
  }
  static cudnnStatus_t run(cudnnHandle_t handle, const Descriptors& d, Algorithm algorithm,
                           const Workspace& workspace, const float* images, const float* filter,
                           float* maps) {
    return cudnnConvolutionForward(handle, &kOne, d.images.get(), images, d.filter.get(), filter,
                                   d.convolution.get(), algorithm, workspace.data, workspace.bytes,
                                   &kZero, d.maps.get(), maps);
  }
};

struct ToImages {
  static constexpr ConvolutionResult kResult = ConvolutionResult::images;
  using Found = cudnnConvolutionBwdDataAlgoPerf_t;
  using Algorithm = cudnnConvolutionBwdDataAlgo_t;

  static cudnnStatus_t find(cudnnHandle_t handle, const Descriptors& d, std::span<Found> found,
                            int* count) {
    return cudnnGetConvolutionBackwardDataAlgorithm_v7(
        handle, d.filter.get(), d.maps.get(), d.convolution.get(), d.images.get(),
        static_cast<int>(found.size()), count, found.data());
  }
  static cudnnStatus_t workspace_bytes(cudnnHandle_t handle, const Descriptors& d,
                                       Algorithm algorithm, std::size_t* bytes) {
    return cudnnGetConvolutionBackwardDataWorkspaceSize(handle, d.filter.get(), d.maps.get(),
                                                        d.convolution.get(), d.images.get(),
                                                        algorithm, bytes);
  }
  static cudnnStatus_t run(cudnnHandle_t handle, const Descriptors& d, Algorithm algorithm,
                           const Workspace& workspace, const float* maps, const float* filter,
                           float* images) {
    return cudnnConvolutionBackwardData(handle, &kOne, d.filter.get(), filter, d.maps.get(), maps,
                                        d.convolution.get(), algorithm, workspace.data,
                                        workspace.bytes, &kZero, d.images.get(), images);
  }
};

struct ToWeights {
  static constexpr ConvolutionResult kResult = ConvolutionResult::weights;
  using Found = cudnnConvolutionBwdFilterAlgoPerf_t;
  using Algorithm = cudnnConvolutionBwdFilterAlgo_t;

  static cudnnStatus_t find(cudnnHandle_t handle, const Descriptors& d, std::span<Found> found,
                            int* count) {
    return cudnnGetConvolutionBackwardFilterAlgorithm_v7(
        handle, d.images.get(), d.maps.get(), d.convolution.get(), d.filter.get(),
        static_cast<int>(found.size()), count, found.data());
  }
  static cudnnStatus_t workspace_bytes(cudnnHandle_t handle, const Descriptors& d,
                                       Algorithm algorithm, std::size_t* bytes) {
    return cudnnGetConvolutionBackwardFilterWorkspaceSize(handle, d.images.get(), d.maps.get(),
                                                          d.convolution.get(), d.filter.get(),
                                                          algorithm, bytes);
  }
  static cudnnStatus_t run(cudnnHandle_t handle, const Descriptors& d, Algorithm algorithm,
                           const Workspace& workspace, const float* images, const float* maps,
                           float* filter) {
    return cudnnConvolutionBackwardFilter(handle, &kOne, d.images.get(), images, d.maps.get(), maps,
                                          d.convolution.get(), algorithm, workspace.data,
                                          workspace.bytes, &kZero, d.filter.get(), filter);
  }
};

// ── Geometry and precision ──────────────────────────────────────────────────────────────────────

/// Along one dimension, whether the outputs that fit between as many zeros on both sides are the
/// map's.
bool has_even_zeros(const ConvolvedLine& line) {
  const std::int64_t room = line.image + 2 * line.before - line.kernel;
  return room >= 0 && room / line.stride + 1 == line.map;
}

bool takes(const Convolution& convolution, std::int64_t batch) {
  // cuDNN counts in int, and knows no empty tensor.
  constexpr std::int64_t kMost = std::numeric_limits<int>::max();
  for (const std::int64_t size :
       {batch * convolution.image.size(), batch * convolution.map.size(), convolution.weights()}) {
    if (size == 0 || size > kMost) return false;
  }
  return has_even_zeros(rows_of(convolution)) && has_even_zeros(cols_of(convolution));
}

Tensor tensor(const ImageShape& shape, std::int64_t batch) {
  Tensor made;
  check(cudnnCreateTensorDescriptor(made.out()), "cudnnCreateTensorDescriptor");
  check(cudnnSetTensor4dDescriptor(made.get(), CUDNN_TENSOR_NHWC, CUDNN_DATA_FLOAT,
                                   static_cast<int>(batch), static_cast<int>(shape.channels),
                                   static_cast<int>(shape.height), static_cast<int>(shape.width)),
        "cudnnSetTensor4dDescriptor");
  return made;
}

Filter filter(const Convolution& convolution) {
  Filter made;
  check(cudnnCreateFilterDescriptor(made.out()), "cudnnCreateFilterDescriptor");
  check(cudnnSetFilter4dDescriptor(made.get(), CUDNN_DATA_FLOAT, CUDNN_TENSOR_NHWC,
                                   static_cast<int>(convolution.map.channels),
                                   static_cast<int>(convolution.image.channels),
                                   static_cast<int>(convolution.kernel_height),
                                   static_cast<int>(convolution.kernel_width)),
        "cudnnSetFilter4dDescriptor");
  return made;
}

Description description(const Convolution& convolution, bool tf32) {
  Description made;
  check(cudnnCreateConvolutionDescriptor(made.out()), "cudnnCreateConvolutionDescriptor");
  const auto stride = static_cast<int>(convolution.stride);
  constexpr int kDilation = 1;
  check(cudnnSetConvolution2dDescriptor(
            made.get(), static_cast<int>(convolution.top), static_cast<int>(convolution.left),
            stride, stride, kDilation, kDilation, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
        "cudnnSetConvolution2dDescriptor");
  // The default is TF32 where a GPU has it.
  check(cudnnSetConvolutionMathType(made.get(), tf32 ? CUDNN_DEFAULT_MATH : CUDNN_FMA_MATH),
        "cudnnSetConvolutionMathType");
  return made;
}

/// Whether an algorithm gives the same bits each time, in the precision that was asked for. The
/// heuristics name algorithms for tensor cores whatever the descriptor says; conversion would be to
/// FP16, whose range is neither FP32's nor TF32's.
template <typename Found>
bool is_wanted(const Found& found, bool tf32) {
  return found.status == CUDNN_STATUS_SUCCESS && found.determinism == CUDNN_DETERMINISTIC &&
         found.mathType != CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION &&
         (tf32 || found.mathType != CUDNN_TENSOR_OP_MATH);
}

/// Since version 9, cuDNN has several statuses for what it cannot do.
bool is_unsupported(cudnnStatus_t status) {
#if CUDNN_MAJOR >= 9
  return CUDNN_STATUS_CATEGORY(status) == CUDNN_STATUS_NOT_SUPPORTED;
#else
  return status == CUDNN_STATUS_NOT_SUPPORTED || status == CUDNN_STATUS_ARCH_MISMATCH;
#endif
}

// ── One convolution ─────────────────────────────────────────────────────────────────────────────

/// Memory of zeros for a while.
class Zeros {
 public:
  Zeros(Shared& shared, std::int64_t size)
      : allocation_(shared.memory, static_cast<std::size_t>(size) * sizeof(float)) {
    check(cudaMemsetAsync(allocation_.data(), 0, allocation_.bytes(), shared.stream),
          "cudaMemsetAsync");
  }
  [[nodiscard]] float* data() const { return static_cast<float*>(allocation_.data()); }

 private:
  Allocation allocation_;
};

template <typename Way>
class DnnConvolution final : public LibraryConvolution {
 public:
  DnnConvolution(Shared& shared, const Convolution& convolution, std::int64_t batch)
      : shared_(shared),
        convolution_(convolution),
        batch_(batch),
        descriptors_{.images = tensor(convolution.image, batch),
                     .maps = tensor(convolution.map, batch),
                     .filter = filter(convolution),
                     .convolution = description(convolution, shared.tf32)} {}

  /// Takes the first algorithm that cuDNN's heuristics name and that will do. False if none does.
  [[nodiscard]] bool choose() {
    std::array<typename Way::Found, 32> found{};
    int count = 0;
    const cudnnStatus_t asked = Way::find(shared_.handle.get(), descriptors_, found, &count);
    if (is_unsupported(asked)) return false;
    check(asked, "cudnnGetConvolutionAlgorithm");
    for (const auto& candidate : std::span(found).first(static_cast<std::size_t>(count))) {
      if (is_wanted(candidate, shared_.tf32) && try_out(candidate.algo)) return true;
    }
    return false;
  }

  void run(const float* first, const float* second, float* result) override {
    check(try_run(first, second, result), "cuDNN's convolution");
  }

 private:
  /// Makes room for an algorithm and runs it once. Only then is it certain that cuDNN can do that;
  /// and whatever it loads or compiles at a first call is there before a step is recorded.
  bool try_out(typename Way::Algorithm algorithm) {
    std::size_t bytes = 0;
    const cudnnStatus_t sized =
        Way::workspace_bytes(shared_.handle.get(), descriptors_, algorithm, &bytes);
    if (is_unsupported(sized)) return false;
    check(sized, "cudnnGetConvolutionWorkspaceSize");
    if (bytes > kDnnWorkspaceBytes) return false;
    shared_.workspace.reserve(bytes);
    shared_.filter.reserve(static_cast<std::size_t>(convolution_.weights()) * sizeof(float));
    algorithm_ = algorithm;

    const Zeros images(shared_, batch_ * convolution_.image.size());
    const Zeros maps(shared_, batch_ * convolution_.map.size());
    const Zeros weights(shared_, convolution_.weights());
    const cudnnStatus_t tried = [&] {
      switch (Way::kResult) {
        case ConvolutionResult::images:
          return try_run(maps.data(), weights.data(), images.data());
        case ConvolutionResult::maps:
          return try_run(images.data(), weights.data(), maps.data());
        case ConvolutionResult::weights:
          break;
      }
      return try_run(images.data(), maps.data(), weights.data());
    }();
    if (is_unsupported(tried)) return false;
    check(tried, "cuDNN's convolution");
    return true;
  }

  cudnnStatus_t try_run(const float* first, const float* second, float* result) {
    auto* const filter = static_cast<float*>(shared_.filter.data());
    // W as a matrix: a row for each tap and image channel.
    const std::int64_t cols = convolution_.map.channels;
    const std::int64_t rows = convolution_.weights() / cols;
    const auto run = [&](const float* second_operand, float* to) {
      return Way::run(shared_.handle.get(), descriptors_, algorithm_,
                      {shared_.workspace.data(), shared_.workspace.bytes()}, first, second_operand,
                      to);
    };
    if constexpr (Way::kResult == ConvolutionResult::weights) {
      const cudnnStatus_t status = run(second, filter);
      if (status == CUDNN_STATUS_SUCCESS) {
        transpose(filter, cols, rows, result);
      }
      return status;
    } else {
      transpose(second, rows, cols, filter);
      return run(filter, result);
    }
  }

  /// to (cols, rows) = fromᵀ.
  void transpose(const float* from, std::int64_t rows, std::int64_t cols, float* to) {
    launch(Transpose{.from = {from, rows, cols}, .to = {to, cols, rows}}, shared_.context);
  }

  Shared& shared_;
  Convolution convolution_;
  std::int64_t batch_;
  Descriptors descriptors_;
  typename Way::Algorithm algorithm_{};
};

template <typename Way>
std::unique_ptr<LibraryConvolution> make(Shared& shared, const Convolution& convolution,
                                         std::int64_t batch) {
  auto made = std::make_unique<DnnConvolution<Way>>(shared, convolution, batch);
  if (!made->choose()) return nullptr;
  return made;
}

std::unique_ptr<LibraryConvolution> make(Shared& shared, const Convolution& convolution,
                                         ConvolutionResult result, std::int64_t batch) {
  if (!takes(convolution, batch)) return nullptr;
  switch (result) {
    case ConvolutionResult::images:
      return make<ToImages>(shared, convolution, batch);
    case ConvolutionResult::maps:
      return make<ToMaps>(shared, convolution, batch);
    case ConvolutionResult::weights:
      break;
  }
  return make<ToWeights>(shared, convolution, batch);
}

class Convolutions final : public DnnConvolutions {
 public:
  Convolutions(Memory& memory, cudaStream_t stream, bool tf32) : shared_(memory, stream, tf32) {}

  [[nodiscard]] LibraryConvolution* find(const Convolution& convolution, ConvolutionResult result,
                                         std::int64_t batch) override {
    const auto& [image, map, kernel_height, kernel_width, stride, top, left, transposed] =
        convolution;
    const Key key{image.height,
                  image.width,
                  image.channels,
                  map.height,
                  map.width,
                  map.channels,
                  kernel_height,
                  kernel_width,
                  stride,
                  top,
                  left,
                  batch,
                  static_cast<std::int64_t>(result)};
    auto known = known_.find(key);
    if (known == known_.end()) {
      known = known_.emplace(key, make(shared_, convolution, result, batch)).first;
    }
    return known->second.get();
  }

 private:
  /// All that a choice depends on.
  using Key = std::array<std::int64_t, 13>;

  Shared shared_;
  std::map<Key, std::unique_ptr<LibraryConvolution>> known_;
};

}  // namespace

std::unique_ptr<DnnConvolutions> make_dnn_convolutions(Memory& memory, cudaStream_t stream,
                                                       bool tf32) {
  return std::make_unique<Convolutions>(memory, stream, tf32);
}

}  // namespace ae::cuda
