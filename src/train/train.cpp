#include "ae/train.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "device/device.hpp"
#include "executors/make_device.hpp"
#include "formulas/losses.hpp"
#include "formulas/optimizers.hpp"
#include "layers/names.hpp"
#include "train/data_fit.hpp"
#include "train/evaluation.hpp"
#include "train/trainer.hpp"
#include "train/training_record.hpp"

namespace ae {

namespace {

constexpr auto kLosses = names_of(losses::Losses{});
constexpr Names<Noise, 4> kNoises{{{Noise::none, "none"},
                                   {Noise::gaussian, "gaussian"},
                                   {Noise::masking, "masking"},
                                   {Noise::salt_and_pepper, "salt_and_pepper"}}};
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
std::string_view to_string(Noise noise) {
  return name_of(kNoises, noise);
}
Noise parse_noise(std::string_view name) {
  return value_of(kNoises, "noise", name);
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
  require_known(kLosses, "loss", loss);
  require_known(kReductions, "reduction", reduction);
  require_known(kOptimizers, "optimizer", optimizer.kind);
  require_known(kSchedules, "schedule", schedule.kind);
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
  const auto require_at_least_0 = [&](float value, std::string_view what) {
    require(std::isfinite(value) && value >= 0, what, number(value), "at least 0");
  };
  require_at_least_0(optimizer.weight_decay, "the weight decay");
  require_in_range(noise);
  require_at_least_0(sparsity.l1, "the L1 penalty");
  require_at_least_0(sparsity.kl, "the weight of the KL sparsity");
  require(sparsity.rho > 0 && sparsity.rho < 1, "the target activation", number(sparsity.rho),
          "between 0 and 1");
  require_at_least_0(variational.beta, "beta");
  require(variational.warm_up_epochs >= 0 && number(variational.warm_up_epochs) <= kMostRows,
          "the KL's warm-up", number(variational.warm_up_epochs), "from 0 to 2147483647");
  require_at_least_0(variational.free_bits, "the number of free nats");
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
  require_at_least_0(clip_norm, "the norm to clip to");
  require_fraction(ema_decay, "the decay of the average");
}

void require_in_range(const EvaluationOptions& options) {
  require_known(kLosses, "loss", options.loss);
  require_known(kReductions, "reduction", options.reduction);
  require_in_range(options.noise);
  const auto beta = static_cast<double>(options.beta);
  require(std::isfinite(beta) && beta >= 0, "beta", beta, "at least 0");
}

void require_in_range(const NoiseOptions& noise) {
  require_known(kNoises, "noise", noise.kind);
  const auto amount = static_cast<double>(noise.amount);
  if (noise.kind == Noise::gaussian) {
    require(std::isfinite(amount) && amount >= 0, "the noise's standard deviation", amount,
            "at least 0");
  } else if (noise.kind != Noise::none) {
    require(amount >= 0 && amount <= 1, "the noise's probability", amount, "from 0 to 1");
  }
}

void require_code_fits(const ModelSpec& spec, const SparsityOptions& sparsity) {
  if (!sparsity.is_on()) return;
  const LayerSpec& code = spec.encoder[spec.code_layer()];
  const auto* dense = std::get_if<DenseSpec>(&code);
  if (dense == nullptr) {
    throw UsageError(
        fmt::format("a sparse code must be a dense layer's, but the encoder ends in '{}'; give it "
                    "one, or no sparsity",
                    to_string(code)));
  }
  if (sparsity.kl > 0 && dense->activation != Activation::sigmoid) {
    throw UsageError(fmt::format(
        "the KL sparsity needs a code in (0, 1), but its activation is {}; use sigmoid, "
        "or the L1 penalty",
        to_string(dense->activation)));
  }
}

void require_trainable(const ModelSpec& spec, const Dataset& training, const Dataset* validation,
                       const TrainOptions& options) {
  options.validate();
  spec.validate();
  require_code_fits(spec, options.sparsity);
  for (const Dataset* data : {&training, validation}) {
    if (data == nullptr) continue;
    require_fit(spec, *data);
    require_loss_fits(spec, *data, options.loss);
  }
  if (options.loss != Loss::bce) require_reach(spec, training);
  if (training.rows() > std::numeric_limits<std::int32_t>::max()) {
    throw Error(
        fmt::format("{} has {} rows, more than the 2147483647 that can be shuffled, use fewer",
                    training.source(), training.rows()));
  }
}

TrainResult train(Model& model, const Dataset& training, const Dataset* validation,
                  const TrainOptions& options) {
  require_trainable(model.spec, training, validation, options);
  model.validate();
  const std::unique_ptr<Device> device = make_device(options.device);
  TrainResult result = Trainer(*device, model, training, validation, options).run();
  record_training(model, training, options, result);
  return result;
}

}  // namespace ae
