#include <span>

#include <fmt/format.h>

#include "ae/device.hpp"
#include "ae/error.hpp"

#include "backend/backend.hpp"
#include "backend/check_backend.hpp"
#include "backend/cpu/cpu_backend.hpp"
#include "backend/simt/simt_backend.hpp"

namespace ae {

std::vector<DeviceInfo> list_devices() {
  return {{"cuda", "NVIDIA GPU", false, "this build has no CUDA backend"},
          {"cpu", describe_cpu(0), true, ""},
          {"simt", "the CUDA kernels on an emulated device: slow and strict", true, ""},
          {"check", "simt beside cpu, operation by operation, compared", true, ""}};
}

DeviceInfo resolve_device(const DeviceOptions& options) {
  if (options.threads < 0) {
    throw UsageError(
        fmt::format("the number of threads is {}, it must be at least 1, or 0 for every core",
                    options.threads));
  }
  const std::string& wanted = options.device;
  const std::vector<DeviceInfo> devices = list_devices();
  for (const DeviceInfo& device : devices) {
    const bool named =
        device.name == wanted ||
        (device.name == "cuda" && wanted.starts_with("cuda:") &&
         wanted.find_first_not_of("0123456789", 5) == std::string::npos && wanted.size() > 5) ||
        (device.name == "simt" && wanted.starts_with("simt:") && make_simt_backend(wanted));
    if (!named && !(wanted == "auto" && device.usable)) continue;
    if (!device.usable) {
      throw Error(fmt::format("device '{}' cannot be used, {}, choose --device cpu or auto", wanted,
                              device.why_not));
    }
    DeviceInfo resolved = device;
    if (resolved.name == "cpu") resolved.description = describe_cpu(options.threads);
    return resolved;
  }
  throw UsageError(fmt::format(
      "there is no device '{}', choose auto, cpu, cuda, cuda:N, simt or check", wanted));
}

std::unique_ptr<Backend> make_backend(const DeviceOptions& options) {
  resolve_device(options);
  if (options.device.starts_with("simt")) return make_simt_backend(options.device);
  if (options.device == "check") {
    return make_check_backend(make_simt_backend("simt"), make_cpu_backend(options.threads),
                              [on_check = options.on_check](std::span<const CheckedOutput> seen) {
                                if (on_check) on_check(format_checked_outputs(seen));
                              });
  }
  return make_cpu_backend(options.threads);
}

}  // namespace ae
