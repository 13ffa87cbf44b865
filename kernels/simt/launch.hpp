#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "simt/machine.hpp"
#include "simt/words.hpp"

/// launch.hpp for the emulated device.

#define AE_DEVICE_NAMESPACE simt

namespace ae::simt {

/// Launches with the arguments converted to the kernel's parameters, or records that.
template <typename... Parameters, typename... Arguments>
void launch_kernel(const char* name, void (*kernel)(Parameters...), const LaunchShape& shape,
                   Stream stream, const Arguments&... arguments) {
  // Each thread has its own copy of the parameters, on its own stack: the kernel begins once they
  // are there.
  stream->launch({name, shape, [kernel, parameters = std::tuple<Parameters...>(arguments...)] {
                    std::apply(
                        [kernel](Parameters... copies) {
                          begin_thread();
                          kernel(copies...);
                          end_thread();
                        },
                        parameters);
                  }});
}

#define AE_LAUNCH(kernel, shape, where, ...) \
  ::ae::simt::launch_kernel(#kernel, kernel, shape, where, __VA_ARGS__)

/// Each declaration is an array of its own, and the same one for all threads of a block.
#define AE_UNROLL

#define AE_SHARED(name, ...)                                     \
  static constexpr char name##_key = 0;                          \
  auto& name = *static_cast<std::type_identity_t<__VA_ARGS__>*>( \
      ::ae::simt::shared_array(&name##_key, #name, sizeof(__VA_ARGS__), alignof(__VA_ARGS__)))

/// Faults unless it is so.
template <int kBytes, typename T>
T* aligned(T* pointer) {
  require_alignment(pointer, kBytes);
  return pointer;
}

}  // namespace ae::simt
