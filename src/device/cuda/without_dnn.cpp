#include "ae/error.hpp"

#include "device/cuda/dnn_convolution.hpp"

namespace ae::cuda {

std::unique_ptr<DnnConvolutions> make_dnn_convolutions(Memory& /*memory*/, cudaStream_t /*stream*/,
                                                       bool /*tf32*/) {
  throw Error("this build has no cuDNN, build it with -DAE_CUDNN=ON where cuDNN is");
}

}  // namespace ae::cuda
