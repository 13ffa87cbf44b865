#include "train/learning_rate.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ae {

namespace {

/// Less of an improvement than this, relative to the least loss so far, is none.
constexpr double kLeastProgress = 1e-4;

}  // namespace

LearningRate::LearningRate(const TrainOptions& options, std::int64_t steps_per_epoch)
    : schedule_(options.schedule),
      rate_(static_cast<double>(options.optimizer.learning_rate)),
      floor_(static_cast<double>(options.schedule.floor)),
      factor_(static_cast<double>(options.schedule.factor)),
      epochs_(static_cast<double>(options.epochs)),
      steps_per_epoch_(static_cast<double>(steps_per_epoch)),
      warm_up_steps_(static_cast<double>(options.schedule.warm_up) * steps_per_epoch_) {}

double LearningRate::scheduled(std::int64_t epoch, double epochs_done) const {
  switch (schedule_.kind) {
    case Schedule::constant:
      break;
    case Schedule::step: {
      const auto drops = static_cast<double>((epoch - 1) / schedule_.step_epochs);
      return std::max(rate_ * std::pow(factor_, drops), floor_);
    }
    case Schedule::cosine: {
      const auto warm_up = static_cast<double>(schedule_.warm_up);
      if (epochs_done <= warm_up) break;
      const double part = (epochs_done - warm_up) / (epochs_ - warm_up);
      return floor_ + (rate_ - floor_) * 0.5 * (1 + std::cos(std::numbers::pi * part));
    }
    case Schedule::plateau:
      return std::max(rate_ * std::pow(factor_, static_cast<double>(progress_.reductions)), floor_);
  }
  return rate_;
}

double LearningRate::at(std::int64_t epoch, std::int64_t step) const {
  const double steps_done =
      static_cast<double>(epoch - 1) * steps_per_epoch_ + static_cast<double>(step);
  const double rate = scheduled(epoch, steps_done / steps_per_epoch_);
  return steps_done + 1 < warm_up_steps_ ? rate * ((steps_done + 1) / warm_up_steps_) : rate;
}

bool LearningRate::fill(std::int64_t epoch, std::span<float> rates) const {
  bool changed = false;
  for (std::size_t step = 0; step < rates.size(); ++step) {
    const auto rate = static_cast<float>(at(epoch, static_cast<std::int64_t>(step)));
    changed = changed || rate != rates[step];
    rates[step] = rate;
  }
  return changed;
}

void LearningRate::end_epoch(double loss) {
  if (loss < (1 - kLeastProgress) * progress_.least_loss) {
    progress_.least_loss = loss;
    progress_.without_progress = 0;
  } else if (++progress_.without_progress >= schedule_.patience) {
    ++progress_.reductions;
    progress_.without_progress = 0;
  }
}

}  // namespace ae
