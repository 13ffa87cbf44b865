#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ae {

/// Where to compute, and with how much of it.
struct DeviceOptions {
  /// "auto" (the best there is), "cpu", "cuda", "cuda:1"; "simt", the CUDA kernels on an emulated
  /// device ("simt:reverse", "simt:shuffled", "simt:shuffled:7": the order of its threads); "check",
  /// simt beside cpu, operation by operation.
  std::string device = "auto";
  /// CPU threads; 0 uses every core the process may run on. Results do not depend on it.
  int threads = 0;
  /// With "check", called when the work has ended, with a table of the largest differences that were
  /// seen, the operation and the element of each. May be empty.
  std::function<void(const std::string& table)> on_check{};
};

/// A device as `ae info` lists it.
struct DeviceInfo {
  std::string name;         ///< what `DeviceOptions::device` takes: "cpu", "cuda:0"
  std::string description;  ///< "AMD EPYC 7B13, 2 threads, AVX2"
  bool usable = false;
  std::string why_not;  ///< if not usable: no GPU, no driver, not in this build
};

/// Every device this build knows, usable or not, best first.
std::vector<DeviceInfo> list_devices();

/// The device that `options` leads to.
/// @throws UsageError for a name that is none; Error if that device is not usable here (says why).
DeviceInfo resolve_device(const DeviceOptions& options);

}  // namespace ae
