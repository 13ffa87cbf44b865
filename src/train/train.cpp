#include "ae/train.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "backend/backend.hpp"
#include "model/names.hpp"
#include "optimizers.hpp"
#include "train/evaluation.hpp"
#include "train/trainer.hpp"

namespace ae {

namespace {

constexpr Names<Loss, 4> kLosses{
    {{Loss::bce, "bce"}, {Loss::mse, "mse"}, {Loss::mae, "mae"}, {Loss::huber, "huber"}}};
constexpr auto kOptimizers = names_of(optimizers::Optimizers{});
constexpr Names<Schedule, 4> kSchedules{{{Schedule::constant, "constant"},
                                         {Schedule::step, "step"},
                                         {Schedule::cosine, "cosine"},
                                         {Schedule::plateau, "plateau"}}};
constexpr Names<Reduction, 2> kReductions{{{Reduction::mean, "mean"}, {Reduction::sum, "sum"}}};

void require(bool holds, std::string_view what, double value, std::string_view range) {
  if (!holds) throw UsageError(fmt::format("{} is {}, it must be {}", what, value, range));
}

}  // namespace

std::string_view to_string(Loss loss) {
  return name_of(kLosses, loss);
}
std::string_view to_string(Reduction reduction) {
  return name_of(kReductions, reduction);
}
std::string_view to_string(Optimizer optimizer) {
  return name_of(kOptimizers, optimizer);
}
std::string_view to_string(Schedule schedule) {
  return name_of(kSchedules, schedule);
}
Schedule parse_schedule(std::string_view name) {
  return value_of(kSchedules, "schedule", name);
}
Optimizer parse_optimizer(std::string_view name) {
  return value_of(kOptimizers, "optimizer", name);
}
Loss parse_loss(std::string_view name) {
  return value_of(kLosses, "loss", name);
}
Reduction parse_reduction(std::string_view name) {
  return value_of(kReductions, "reduction", name);
}

void TrainOptions::validate() const {
  constexpr double kMostRows = std::numeric_limits<std::int32_t>::max();
  const auto number = [](auto value) { return static_cast<double>(value); };
  require(epochs >= 0 && number(epochs) <= kMostRows, "the number of epochs", number(epochs),
          "from 0 to 2147483647");
  require(batch_size >= 1 && number(batch_size) <= kMostRows, "the batch size", number(batch_size),
          "from 1 to 2147483647");
  const auto require_positive = [&](float value, std::string_view what) {
    require(std::isfinite(value) && value > 0, what, number(value), "above 0");
  };
  const auto require_fraction = [&](float value, std::string_view what) {
    require(value >= 0 && value < 1, what, number(value), "at least 0 and below 1");
  };
  require_positive(optimizer.learning_rate, "the learning rate");
  require_fraction(optimizer.beta1, "beta1");
  require_fraction(optimizer.beta2, "beta2");
  require_positive(optimizer.epsilon, "epsilon");
  require_fraction(optimizer.momentum, "the momentum");
  require_fraction(optimizer.rho, "rho");
  require(std::isfinite(optimizer.weight_decay) && optimizer.weight_decay >= 0, "the weight decay",
          number(optimizer.weight_decay), "at least 0");
  require(schedule.warm_up >= 0 && number(schedule.warm_up) <= number(epochs), "the warm-up",
          number(schedule.warm_up), fmt::format("from 0 to the number of epochs, {}", epochs));
  require(schedule.factor > 0 && schedule.factor < 1, "the schedule's factor",
          number(schedule.factor), "above 0 and below 1");
  require(schedule.step_epochs >= 1, "the epochs of the schedule's steps",
          number(schedule.step_epochs), "at least 1");
  require(schedule.patience >= 1, "the schedule's patience", number(schedule.patience),
          "at least 1");
  require(schedule.floor >= 0 && schedule.floor <= optimizer.learning_rate, "the schedule's floor",
          number(schedule.floor),
          fmt::format("from 0 to the learning rate, {}", optimizer.learning_rate));
  require(std::isfinite(clip_norm) && clip_norm >= 0, "the norm to clip to", number(clip_norm),
          "at least 0");
  require_fraction(ema_decay, "the decay of the average");
}

TrainResult train(Model& model, const Dataset& training, const Dataset* validation,
                  const TrainOptions& options) {
  options.validate();
  model.spec.validate();
  for (const Dataset* data : {&training, validation}) {
    if (data == nullptr) continue;
    require_fit(model.spec, *data);
    require_loss_fits(model.spec, *data, options.loss);
  }
  if (training.rows() > std::numeric_limits<std::int32_t>::max()) {
    throw Error(
        fmt::format("{} has {} rows, more than the 2147483647 that can be shuffled, use fewer",
                    training.source(), training.rows()));
  }
  const std::unique_ptr<Backend> backend = make_backend(options.device);
  return Trainer(*backend, model, training, validation, options).run();
}

}  // namespace ae
