#pragma once

#include <memory>
#include <string_view>

#include "device/device.hpp"

namespace ae {

/// What the library knows of the emulated device, which is a library beside it: programs that want
/// it call register_simt_device().
struct EmulatedDevice {
  /// Whether a name is one of its orders: "simt", "simt:reverse", "simt:shuffled:7".
  bool (*has_order)(std::string_view name);
  /// For such a name.
  std::unique_ptr<Device> (*make_device)(std::string_view name);
};

/// Null until there is one.
const EmulatedDevice* emulated_device();

/// `device` must live as long as the process.
void set_emulated_device(const EmulatedDevice& device);

}  // namespace ae
