#pragma once

#include <cstddef>
#include <cstdint>

#include "common/launch_context.hpp"

namespace ae::AE_DEVICE_NAMESPACE {

/// The scratch memory of launchers. It owns none: it notes how large is what it was given.
class ScratchMemory {
 public:
  /// At least so much of each, from allocate(bytes, zeroed). What is outgrown must stay, since
  /// recorded steps point to it.
  template <typename Allocate>
  const Scratch& at_least(const ScratchSizes& needed, const Allocate& allocate) {
    grow(scratch_.columns, sizes_.columns, needed.columns, allocate, /*zeroed=*/false);
    grow(scratch_.losses, sizes_.losses, needed.losses, allocate, /*zeroed=*/false);
    grow(scratch_.counters, sizes_.counters, needed.counters, allocate, /*zeroed=*/true);
    grow(scratch_.statistics, sizes_.statistics, needed.statistics, allocate, /*zeroed=*/false);
    return scratch_;
  }

 private:
  template <typename T, typename Allocate>
  static void grow(T*& memory, std::int64_t& size, std::int64_t needed, const Allocate& allocate,
                   bool zeroed) {
    if (size >= needed) return;
    memory = static_cast<T*>(allocate(static_cast<std::size_t>(needed) * sizeof(T), zeroed));
    size = needed;
  }

  Scratch scratch_;
  ScratchSizes sizes_;
};

}  // namespace ae::AE_DEVICE_NAMESPACE
