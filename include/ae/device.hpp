#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ae {

/// Where to compute, and with how much of it.
struct DeviceOptions {
  /// "auto" (the best there is), "cpu", "cuda", "cuda:1"; "simt", the CUDA kernels on an emulated
  /// device where register_simt_device() was called ("simt:reverse", "simt:shuffled",
  /// "simt:shuffled:7": the order of its threads); "check", the GPU, or simt where there is none,
  /// beside cpu, operation by operation
  /// ("check:simt", "check:cuda:1": that device beside cpu).
  std::string device = "auto";
  /// CPU threads; 0 uses every core the process may run on. Results do not depend on it: they are
  /// the same bits on one instruction set, see ae.hpp. Where more are asked for than four for each
  /// core, or than the system starts, there are fewer.
  int threads = 0;
  /// How GPUs multiply matrices, and convolve by cuDNN: "fp32", or "tf32" (operands rounded to 10
  /// bits of mantissa, sums in FP32), which tensor cores do several times faster. Other devices
  /// know fp32 alone.
  std::string precision = "fp32";
  /// Whose products a GPU runs: "cublas", with our fused kernels after them, or "cublaslt", which
  /// does bias, ReLU and their gradients in the products' epilogues where it can.
  std::string gemm = "cublas";
  /// Whose convolutions a GPU runs: "cudnn" (what its geometry does not allow is ours all the
  /// same), "own", our kernels, or "auto", cuDNN where this build has it.
  std::string convolution = "auto";
  /// The most of a GPU's memory that arrays and the libraries' workspaces may take, in MiB, besides
  /// CUDA's own context; 0 is all that is free. A data set that would take more than three quarters
  /// of what is left stays in host memory and is streamed.
  std::int64_t gpu_memory = 0;
  /// Called with one line where the work is done in another way than was asked for: with fewer
  /// threads, or with data that do not fit the GPU's memory and are streamed to it (how much is
  /// needed and how much is free). May be empty.
  std::function<void(const std::string& line)> on_notice{};
  /// Called while a large data set is copied to a GPU. May be empty.
  std::function<void(std::size_t bytes_done, std::size_t bytes)> on_upload{};
  /// With "check", called when the work has ended, with a table of the largest differences that
  /// were seen, the operation and the element of each. May be empty.
  std::function<void(const std::string& table)> on_check{};
};

/// A device as `ae info` lists it.
struct DeviceInfo {
  std::string name;         ///< what `DeviceOptions::device` takes: "cpu", "cuda:0"
  std::string description;  ///< "AMD EPYC 7B13, 2 threads, AVX2"
  bool usable = false;
  std::string why_not;  ///< if not usable: no GPU, no driver, not in this build or program
};

/// Every device this build knows, usable or not, best first.
std::vector<DeviceInfo> list_devices();

/// The device that `options` leads to.
/// @throws UsageError for a name that is none; Error if that device is not usable here (says why).
DeviceInfo resolve_device(const DeviceOptions& options);

}  // namespace ae
