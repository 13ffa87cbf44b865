#pragma once

#include <functional>
#include <memory>
#include <string>

#include "device/device.hpp"

namespace ae {

/// The CPU as a device: oneDNN's GEMM and our own vector code on all cores. It is the reference
/// that the GPU's kernels are compared with, and a product of its own.
/// `threads` 0 takes every core this process may run on. Where there are fewer threads than were
/// asked for, because they are of no use or because the system refuses them, `on_notice` is called
/// with a line about it; it may be empty.
std::unique_ptr<Device> make_cpu_device(
    int threads, const std::function<void(const std::string&)>& on_notice = {});

/// "AMD EPYC, 2 threads, avx2".
std::string describe_cpu(int threads);

/// The cores this process may run on.
int available_cores();

}  // namespace ae
