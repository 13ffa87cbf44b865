#pragma once

#include <cstdint>
#include <string_view>

namespace ae {

/// What becomes of the learning rate η after e epochs, e = s/S before step number s + 1 of S in
/// each epoch. After a warm-up of W epochs, whose steps have min(1, (s+1)/(W·S)) of it:
///   constant  η
///   step      η·factor^⌊e/step_epochs⌋
///   cosine    floor + (η - floor)·½(1 + cos(π·(e-W)/(E-W))) of E epochs in all, as SGDR without
///             restarts (Loshchilov & Hutter 2017, eq. 5); it begins where the warm-up ends
///   plateau   η·factorⁿ, n one more whenever `patience` epochs in a row have not brought the loss
///             below (1 - 1e-4) times its least so far; the loss of the validation, or that of the
///             training where there is none. As Keras's ReduceLROnPlateau, whose 1e-4 is absolute.
/// None of these falls below the floor.
enum class Schedule : std::uint8_t { constant, step, cosine, plateau };

std::string_view to_string(Schedule schedule);
/// @throws UsageError naming the known ones.
Schedule parse_schedule(std::string_view name);

struct ScheduleOptions {
  Schedule kind = Schedule::constant;
  float warm_up = 0;              ///< W, in epochs, whole or not, at most as many as there are
  float factor = 0.1F;            ///< of step and plateau, in (0, 1)
  std::int64_t step_epochs = 20;  ///< of step, ≥ 1
  std::int64_t patience = 10;     ///< of plateau, ≥ 1
  float floor = 0;                ///< a learning rate in [0, η]
};

}  // namespace ae
