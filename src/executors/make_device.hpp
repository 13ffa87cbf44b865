#pragma once

#include <memory>

#include "ae/device.hpp"

#include "device/device.hpp"

namespace ae {

/// The device that `options` lead to. @throws as resolve_device; Error if it cannot be used here.
std::unique_ptr<Device> make_device(const DeviceOptions& options);

}  // namespace ae
