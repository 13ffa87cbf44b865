#pragma once

/// The emulated device: the CUDA kernels on the CPU, slow, and strict about each of their accesses
/// to memory. It is a library of its own, so that programs without it are smaller and need no
/// Boost.Context. With CMake:
///
///   find_package(ae REQUIRED COMPONENTS simt)
///   target_link_libraries(app PRIVATE ae::simt)
namespace ae {

/// From here on "simt" and its orders are devices of this process, and "check" takes it where there
/// is no GPU. Call it once, early; more calls change nothing. Any thread may.
void register_simt_device();

}  // namespace ae
