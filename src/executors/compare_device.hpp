#pragma once

#include <functional>
#include <memory>
#include <span>

#include "device/device.hpp"
#include "executors/checked_output.hpp"

namespace ae {

/// Runs every operation on two devices and compares what they put out.
///
/// Each operation is judged by itself: once compared, the judged device's outputs are overwritten
/// with the reference's, so that the next operation starts from the same numbers on both and
/// nothing adds up. What comes back from download() is therefore the reference's, bit for bit.
/// Compiled steps run operation by operation; how the judged device compiles is not checked. Nor is
/// what an operation writes outside its outputs.
///
/// Addresses from allocate() are the reference's, and nothing but names: the judged device is
/// given its own. An operation on memory outside a block that is allocated throws Error.
///
/// When the device ends, also because a training failed, `on_end` is given all outputs, largest
/// relative difference first. What it throws is lost. It may be empty.
std::unique_ptr<Device> make_compare_device(
    std::unique_ptr<Device> judged, std::unique_ptr<Device> reference,
    std::function<void(std::span<const CheckedOutput>)> on_end);

}  // namespace ae
