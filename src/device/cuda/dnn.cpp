#include "device/cuda/dnn.hpp"

#include <fmt/format.h>

#include "ae/error.hpp"

namespace ae::cuda {

namespace {

using Tensor = Owner<cudnnTensorDescriptor_t, cudnnDestroyTensorDescriptor>;
using ActivationDescriptor = Owner<cudnnActivationDescriptor_t, cudnnDestroyActivationDescriptor>;

constexpr float kOne = 1;
constexpr float kZero = 0;

/// (rows, cols) as cuDNN has it: images of one pixel, with as many channels as there are columns.
Tensor tensor(std::int64_t rows, std::int64_t cols) {
  Tensor made;
  check(cudnnCreateTensorDescriptor(made.out()), "cudnnCreateTensorDescriptor");
  check(cudnnSetTensor4dDescriptor(made.get(), CUDNN_TENSOR_NCHW, CUDNN_DATA_FLOAT,
                                   static_cast<int>(rows), static_cast<int>(cols), 1, 1),
        "cudnnSetTensor4dDescriptor");
  return made;
}

ActivationDescriptor descriptor(Activation activation) {
  const auto mode = [activation] {
    switch (activation) {
      case Activation::relu:
        return CUDNN_ACTIVATION_RELU;
      case Activation::sigmoid:
        return CUDNN_ACTIVATION_SIGMOID;
      case Activation::tanh:
        return CUDNN_ACTIVATION_TANH;
      default:
        break;
    }
    throw Error(fmt::format("cuDNN has no activation '{}'", to_string(activation)));
  }();
  ActivationDescriptor made;
  check(cudnnCreateActivationDescriptor(made.out()), "cudnnCreateActivationDescriptor");
  check(cudnnSetActivationDescriptor(made.get(), mode, CUDNN_PROPAGATE_NAN, 0),
        "cudnnSetActivationDescriptor");
  return made;
}

}  // namespace

void check(cudnnStatus_t status, const char* call, std::source_location where) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  static_cast<void>(cudaGetLastError());
  throw Error(
      fmt::format("{} failed on the GPU, {} ({}), see that cuDNN fits the driver and the GPU "
                  "(ae info lists both), or use --convolution own",
                  call, cudnnGetErrorString(status), to_string(where)));
}

Dnn::Dnn(cudaStream_t stream) {
  check(cudnnCreate(handle_.out()), "cudnnCreate");
  check(cudnnSetStream(handle_.get(), stream), "cudnnSetStream");
}

void Dnn::add_bias(const float* bias, float* y, std::int64_t rows, std::int64_t cols) const {
  const Tensor biases = tensor(1, cols);
  const Tensor matrix = tensor(rows, cols);
  check(cudnnAddTensor(handle_.get(), &kOne, biases.get(), bias, &kOne, matrix.get(), y),
        "cudnnAddTensor");
}

void Dnn::activate(Activation activation, float* y, std::int64_t rows, std::int64_t cols) const {
  const Tensor matrix = tensor(rows, cols);
  const ActivationDescriptor mode = descriptor(activation);
  check(cudnnActivationForward(handle_.get(), mode.get(), &kOne, matrix.get(), y, &kZero,
                               matrix.get(), y),
        "cudnnActivationForward");
}

void Dnn::activation_gradient(Activation activation, const float* y, float* dx, std::int64_t rows,
                              std::int64_t cols) const {
  const Tensor matrix = tensor(rows, cols);
  const ActivationDescriptor mode = descriptor(activation);
  // y stands for the input as well: these activations' slopes follow from their outputs.
  check(cudnnActivationBackward(handle_.get(), mode.get(), &kOne, matrix.get(), y, matrix.get(), dx,
                                matrix.get(), y, &kZero, matrix.get(), dx),
        "cudnnActivationBackward");
}

void Dnn::column_sums(const float* matrix, std::int64_t rows, std::int64_t cols,
                      float* sums) const {
  const Tensor whole = tensor(rows, cols);
  const Tensor channels = tensor(1, cols);
  check(cudnnConvolutionBackwardBias(handle_.get(), &kOne, whole.get(), matrix, &kZero,
                                     channels.get(), sums),
        "cudnnConvolutionBackwardBias");
}

}  // namespace ae::cuda
