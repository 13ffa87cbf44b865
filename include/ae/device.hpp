#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ae {

/// Where to compute, and with how much of it.
struct DeviceOptions {
  /// "auto" (the best there is), "cpu", "cuda", "cuda:1".
  std::string device = "auto";
  /// CPU threads; 0 uses every core the process may run on. Results do not depend on it.
  int threads = 0;
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
