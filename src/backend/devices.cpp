#include <algorithm>
#include <charconv>
#include <span>
#include <string_view>

#include <fmt/format.h>

#include "ae/device.hpp"
#include "ae/error.hpp"

#include "backend/backend.hpp"
#include "backend/check_backend.hpp"
#include "backend/cpu/cpu_backend.hpp"
#include "backend/cuda/cuda_backend.hpp"
#include "backend/simt/simt_backend.hpp"

namespace ae {

namespace {

constexpr std::string_view kCudaPrefix = "cuda:";

/// The N of "cuda:N", 0 of "cuda", -1 of anything else.
int cuda_index(std::string_view name) {
  if (name == "cuda") return 0;
  if (!name.starts_with(kCudaPrefix)) return -1;
  name.remove_prefix(kCudaPrefix.size());
  int index = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  return error == std::errc() && end == name.data() + name.size() ? index : -1;
}

bool is_simt(const std::string& name) {
  return name.starts_with("simt") && make_simt_backend(name) != nullptr;
}

void validate(const DeviceOptions& options) {
  if (options.threads < 0) {
    throw UsageError(
        fmt::format("the number of threads is {}, it must be at least 1, or 0 for every core",
                    options.threads));
  }
  if (options.precision != "fp32" && options.precision != "tf32") {
    throw UsageError(
        fmt::format("there is no precision '{}', choose fp32 or tf32", options.precision));
  }
  if (options.precision == "tf32" && (options.device == "cpu" || is_simt(options.device))) {
    throw UsageError(fmt::format("precision tf32 is for NVIDIA GPUs, with device '{}' use fp32",
                                 options.device));
  }
}

/// The device called `wanted`, usable or not.
DeviceInfo find_device(const std::string& wanted) {
  const std::vector<DeviceInfo> devices = list_devices();
  if (wanted == "auto") {
    return *std::find_if(devices.begin(), devices.end(),
                         [](const DeviceInfo& device) { return device.usable; });
  }
  const int index = cuda_index(wanted);
  const std::string name = index >= 0 ? fmt::format("cuda:{}", index) : wanted;
  for (const DeviceInfo& device : devices) {
    // Where no GPU is usable, one entry "cuda" stands for all and says why.
    if (device.name == name || (index >= 0 && device.name == "cuda") ||
        (device.name == "simt" && is_simt(wanted))) {
      return device;
    }
  }
  if (index >= 0) {
    const auto is_gpu = [](const DeviceInfo& device) {
      return device.name.starts_with(kCudaPrefix);
    };
    throw Error(fmt::format("there is no GPU {}, this machine has {} of them, counted from 0",
                            index, std::count_if(devices.begin(), devices.end(), is_gpu)));
  }
  throw UsageError(fmt::format(
      "there is no device '{}', choose auto, cpu, cuda, cuda:N, simt or check", wanted));
}

}  // namespace

std::vector<DeviceInfo> list_devices() {
  std::vector<DeviceInfo> devices = list_cuda_devices();
  const std::string judged = devices.front().usable ? devices.front().name : "simt";
  devices.push_back({"cpu", describe_cpu(0), true, ""});
  devices.push_back({"simt", "the CUDA kernels on an emulated device: slow and strict", true, ""});
  devices.push_back({"check", judged + " beside cpu, operation by operation, compared", true, ""});
  return devices;
}

DeviceInfo resolve_device(const DeviceOptions& options) {
  validate(options);
  DeviceInfo device = find_device(options.device);
  if (!device.usable) {
    throw Error(fmt::format("device '{}' cannot be used, {}, choose --device cpu or auto",
                            options.device, device.why_not));
  }
  if (device.name == "cpu") device.description = describe_cpu(options.threads);
  return device;
}

std::unique_ptr<Backend> make_backend(const DeviceOptions& options) {
  const DeviceInfo device = resolve_device(options);
  if (const int index = cuda_index(device.name); index >= 0) {
    return make_cuda_backend(index, options);
  }
  if (device.name == "simt") return make_simt_backend(options.device);
  if (device.name == "check") {
    const DeviceInfo gpu = list_cuda_devices().front();
    return make_check_backend(
        gpu.usable ? make_cuda_backend(0, options) : make_simt_backend("simt"),
        make_cpu_backend(options.threads),
        [on_check = options.on_check](std::span<const CheckedOutput> seen) {
          if (on_check) on_check(format_checked_outputs(seen));
        });
  }
  return make_cpu_backend(options.threads);
}

}  // namespace ae
