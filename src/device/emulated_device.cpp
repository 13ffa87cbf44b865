#include "device/emulated_device.hpp"

#include <atomic>

namespace ae {

namespace {

/// A process has one emulated device or none, whoever asks.
std::atomic<const EmulatedDevice*>& registered() {
  static std::atomic<const EmulatedDevice*> device = nullptr;
  return device;
}

}  // namespace

const EmulatedDevice* emulated_device() {
  return registered().load();
}

void set_emulated_device(const EmulatedDevice& device) {
  registered().store(&device);
}

}  // namespace ae
