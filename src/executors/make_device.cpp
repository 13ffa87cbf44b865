#include "executors/make_device.hpp"

#include <algorithm>
#include <initializer_list>
#include <span>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ae/device.hpp"
#include "ae/error.hpp"

#include "device/cpu/cpu_device.hpp"
#include "device/cuda/cuda_device.hpp"
#include "device/device.hpp"
#include "device/emulated_device.hpp"
#include "executors/compare_device.hpp"
#include "io/numbers.hpp"

namespace ae {

namespace {

constexpr std::string_view kCudaPrefix = "cuda:";
constexpr std::string_view kCheckPrefix = "check:";
constexpr const char* kNoEmulatedDevice =
    "this program does not have the emulated device (it links ae::simt and calls "
    "ae::register_simt_device() to have it)";

/// The N of "cuda:N", 0 of "cuda", -1 of anything else.
int cuda_index(std::string_view name) {
  if (name == "cuda") return 0;
  if (!name.starts_with(kCudaPrefix)) return -1;
  name.remove_prefix(kCudaPrefix.size());
  return io::to_integer<int>(name).value_or(-1);
}

bool is_simt(std::string_view name) {
  const EmulatedDevice* device = emulated_device();
  return device != nullptr ? device->has_order(name) : name == "simt" || name.starts_with("simt:");
}

bool is_check(const std::string& name) {
  return name == "check" || name.starts_with(kCheckPrefix);
}

/// The best device that has our kernels, usable or not.
std::string best_with_kernels(const DeviceInfo& gpu) {
  return gpu.usable ? gpu.name : "simt";
}

DeviceInfo describe_simt() {
  const bool usable = emulated_device() != nullptr;
  return {"simt", "the CUDA kernels on an emulated device: slow and strict", usable,
          usable ? "" : kNoEmulatedDevice};
}

/// "check" where it would judge the best device that has our kernels.
DeviceInfo describe_check(const DeviceInfo& gpu) {
  const bool usable = gpu.usable || emulated_device() != nullptr;
  return {"check", best_with_kernels(gpu) + " beside cpu, operation by operation, compared", usable,
          usable ? "" : fmt::format("no GPU is usable, and {}", kNoEmulatedDevice)};
}

/// What "check" judges: the device it names, else the best there is.
std::string judged_device(const std::string& check) {
  if (check != "check") return check.substr(kCheckPrefix.size());
  return best_with_kernels(list_cuda_devices().front());
}

/// `special` is what only an NVIDIA GPU can be asked for.
void validate_choice(std::string_view what, const std::string& value,
                     std::span<const std::string_view> choices, std::string_view special,
                     const std::string& device) {
  if (std::find(choices.begin(), choices.end(), value) == choices.end()) {
    throw UsageError(
        fmt::format("there is no {} '{}', choose {}", what, value, fmt::join(choices, " or ")));
  }
  if (value == special && (device == "cpu" || is_simt(device))) {
    throw UsageError(fmt::format("{} {} is for NVIDIA GPUs, with device '{}' use {}", what, special,
                                 device, choices.front()));
  }
}

void validate(const DeviceOptions& options) {
  if (options.threads < 0) {
    throw UsageError(
        fmt::format("the number of threads is {}, it must be at least 1, or 0 for every core",
                    options.threads));
  }
  if (options.gpu_memory < 0) {
    throw UsageError(fmt::format(
        "the GPU memory to use is {} MiB, it must be at least 1, or 0 for all that is free",
        options.gpu_memory));
  }
  using Choices = std::initializer_list<std::string_view>;
  validate_choice("precision", options.precision, Choices{"fp32", "tf32"}, "tf32", options.device);
  validate_choice("gemm", options.gemm, Choices{"cublas", "cublaslt"}, "cublaslt", options.device);
  validate_choice("convolution", options.convolution, Choices{"auto", "cudnn", "own"}, "cudnn",
                  options.device);
  if (options.convolution == "cudnn" && !has_cudnn()) {
    throw UsageError(
        "this build has no cuDNN for its convolutions, build it with -DAE_CUDA=ON -DAE_CUDNN=ON "
        "where both are, or use convolution auto or own");
  }
}

[[noreturn]] void refuse(const std::string& wanted, const std::vector<DeviceInfo>& devices) {
  if (const int index = cuda_index(wanted); index >= 0) {
    const auto is_gpu = [](const DeviceInfo& device) { return is_cuda_device(device.name); };
    throw Error(fmt::format("there is no GPU {}, this machine has {} of them, counted from 0",
                            index, std::count_if(devices.begin(), devices.end(), is_gpu)));
  }
  throw UsageError(fmt::format(
      "there is no device '{}', choose auto, cpu, cuda, cuda:N, simt or check", wanted));
}

/// The device called `wanted`, usable or not.
DeviceInfo find_device(const std::string& wanted) {
  const std::vector<DeviceInfo> devices = list_devices();
  if (wanted == "auto") {
    return *std::find_if(devices.begin(), devices.end(),
                         [](const DeviceInfo& device) { return device.usable; });
  }
  const int index = cuda_index(wanted);
  const std::string name = index >= 0         ? fmt::format("cuda:{}", index)
                           : is_simt(wanted)  ? "simt"
                           : is_check(wanted) ? "check"
                                              : wanted;
  for (const DeviceInfo& device : devices) {
    // Where no GPU is usable, one entry "cuda" stands for all and says why.
    if (device.name == name || (index >= 0 && device.name == "cuda")) return device;
  }
  refuse(wanted, devices);
}

}  // namespace

std::vector<DeviceInfo> list_devices() {
  std::vector<DeviceInfo> devices = list_cuda_devices();
  const DeviceInfo check = describe_check(devices.front());
  devices.push_back({"cpu", describe_cpu(0), true, ""});
  devices.push_back(describe_simt());
  devices.push_back(check);
  return devices;
}

DeviceInfo resolve_device(const DeviceOptions& options) {
  validate(options);
  DeviceInfo device = find_device(options.device);
  // "check" with a device's name can be used where that device can.
  if (!device.usable && !options.device.starts_with(kCheckPrefix)) {
    throw Error(fmt::format("device '{}' cannot be used, {}, choose --device cpu or auto",
                            options.device, device.why_not));
  }
  if (device.name == "cpu") device.description = describe_cpu(options.threads);
  if (device.name == "check") {
    DeviceOptions judged = options;
    judged.device = judged_device(options.device);
    if (is_check(judged.device)) {
      throw UsageError(fmt::format("'{}' names no device to check", options.device));
    }
    device.description =
        resolve_device(judged).name + " beside cpu, operation by operation, compared";
  }
  return device;
}

std::unique_ptr<Device> make_device(const DeviceOptions& options) {
  const DeviceInfo device = resolve_device(options);
  if (const int index = cuda_index(device.name); index >= 0) {
    return make_cuda_device(index, options);
  }
  if (device.name == "simt") return emulated_device()->make_device(options.device);
  if (device.name == "check") {
    DeviceOptions judged = options;
    judged.device = judged_device(options.device);
    return make_compare_device(make_device(judged),
                               make_cpu_device(options.threads, options.on_notice),
                               [on_check = options.on_check](std::span<const CheckedOutput> seen) {
                                 if (on_check) on_check(format_checked_outputs(seen));
                               });
  }
  return make_cpu_device(options.threads, options.on_notice);
}

}  // namespace ae
