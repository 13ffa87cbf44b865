#pragma once

#include <cstdint>
#include <string>

#include "ae/train.hpp"

namespace ae::cli {

/// How a command talks while it works.
enum class Voice : std::uint8_t { human, json, quiet };

/// Shows a training's progress on stdout: on a terminal one live line for the epoch under way and a
/// line for each finished one; in a pipe, a plain line an epoch and never an escape code.
class Progress {
 public:
  /// Whether an epoch's line has its learning rate. JSON always has.
  enum class Rate : std::uint8_t { hidden, shown };

  Progress(Voice voice, std::int64_t epochs, Rate rate = Rate::hidden);

  void show(const StepProgress& progress);
  void show(const EpochResult& epoch);
  /// Clears the live line, before something else is printed.
  void clear();

  /// True if show(StepProgress) shows anything.
  [[nodiscard]] bool is_live() const { return is_live_; }

 private:
  Voice voice_;
  std::int64_t epochs_;
  Rate rate_;
  bool is_live_;
  bool has_live_line_ = false;
};

}  // namespace ae::cli
