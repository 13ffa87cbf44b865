#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ae/device.hpp"

namespace ae {

/// One way to do a piece of a training step, timed on the GPU.
struct VariantTime {
  std::string work;      ///< "hidden forward": what is done
  std::string variant;   ///< "cuBLAS, then our bias + ReLU": how
  bool is_ours = false;  ///< the way that training takes
  double seconds = 0;    ///< median
  double seconds_min = 0;
  double seconds_max = 0;
};

/// The fused kernels beside what does the same without them: the unfused sequence, cuBLAS alone,
/// cublasLt's epilogues, cuDNN where this build has it. For a hidden layer (batch, inputs) ->
/// (batch, units) and an output layer back. Each variant alone, again and again. Nothing in a build
/// without CUDA.
std::vector<VariantTime> time_cuda_variants(const DeviceOptions& options, std::int64_t batch,
                                            std::int64_t inputs, std::int64_t units);

}  // namespace ae
