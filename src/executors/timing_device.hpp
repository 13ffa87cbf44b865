#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "device/device.hpp"

namespace ae {

/// One operation that a TimingDevice has seen to its end.
struct TimedOperation {
  std::string_view layer{};  ///< empty for operations of no layer
  std::string_view stage{};  ///< "gather", "noise", "forward", "backward", "loss", "update", …
  double seconds = 0;
  double flop = 0;  ///< of its GEMMs, zeros counted as if they were multiplied
};

/// Passes everything on to another device and tells how long each operation took. Compiled steps
/// run operation by operation, so that each can be timed.
///
/// Where operations return before they are done, a single one would show what the calls cost, not
/// what the work does: there each is recorded many times over and replayed, and its share of that
/// is its time. A repeated update moves the weights too far for a second step, so a
/// training must take one step only.
std::unique_ptr<Device> make_timing_device(Device& timed,
                                           std::function<void(const TimedOperation&)> on_operation);

}  // namespace ae
