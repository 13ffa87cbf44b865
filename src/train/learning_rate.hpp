#pragma once

#include <cstdint>
#include <limits>
#include <span>

#include "ae/train.hpp"

namespace ae {

/// The learning rate of each step of a training; the formulas are at ae::Schedule. The host
/// computes them in double an epoch at a time, since a device that looks them up by its step
/// counter can replay one recorded step for all of them.
class LearningRate {
 public:
  LearningRate(const TrainOptions& options, std::int64_t steps_per_epoch);

  /// Whether every step has the optimiser's own rate, so that nobody needs to look it up.
  [[nodiscard]] bool is_constant() const {
    return schedule_.kind == Schedule::constant && warm_up_steps_ == 0;
  }

  /// Of a step of an epoch; epochs count from 1, their steps from 0.
  [[nodiscard]] double at(std::int64_t epoch, std::int64_t step) const;

  /// Of every step of the epoch, into `rates`. True if any of them changed.
  bool fill(std::int64_t epoch, std::span<float> rates) const;

  /// What a plateau is told by; other schedules need no state.
  struct Progress {
    double least_loss = std::numeric_limits<double>::infinity();  ///< of the epochs so far
    std::int64_t without_progress = 0;                            ///< epochs in a row
    std::int64_t reductions = 0;
  };
  [[nodiscard]] const Progress& progress() const { return progress_; }
  void set_progress(const Progress& progress) { progress_ = progress; }

  /// Tells the loss that the epoch ended with.
  void end_epoch(double loss);

 private:
  /// Of the schedule, before the warm-up takes its share.
  [[nodiscard]] double scheduled(std::int64_t epoch, double epochs_done) const;

  ScheduleOptions schedule_;
  double rate_;  ///< η
  double floor_;
  double factor_;
  double epochs_;
  double steps_per_epoch_;
  double warm_up_steps_;
  Progress progress_;
};

}  // namespace ae
