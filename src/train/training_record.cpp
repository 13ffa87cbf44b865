#include "train/training_record.hpp"

#include <cmath>
#include <map>
#include <string>

#include <fmt/format.h>

#include "ae/version.hpp"

#include "io/utf8.hpp"

namespace ae {

namespace {

using Record = std::map<std::string, std::string>;

std::string text(float value) {
  return fmt::format("{}", value);
}

Record options_record(const TrainOptions& options) {
  const OptimizerOptions& optimizer = options.optimizer;
  const ScheduleOptions& schedule = options.schedule;
  return {
      {"loss", std::string(to_string(options.loss))},
      {"reduction", std::string(to_string(options.reduction))},
      {"optimizer", std::string(to_string(optimizer.kind))},
      {"learning_rate", text(optimizer.learning_rate)},
      {"beta1", text(optimizer.beta1)},
      {"beta2", text(optimizer.beta2)},
      {"epsilon", text(optimizer.epsilon)},
      {"momentum", text(optimizer.momentum)},
      {"rho", text(optimizer.rho)},
      {"weight_decay", text(optimizer.weight_decay)},
      {"schedule", std::string(to_string(schedule.kind))},
      {"schedule_factor", text(schedule.factor)},
      {"schedule_epochs", std::to_string(schedule.step_epochs)},
      {"schedule_patience", std::to_string(schedule.patience)},
      {"schedule_floor", text(schedule.floor)},
      {"warm_up", text(schedule.warm_up)},
      {"clip_norm", text(options.clip_norm)},
      {"ema", text(options.ema_decay)},
      {"batch_size", std::to_string(options.batch_size)},
      {"seed", std::to_string(options.seed)},
  };
}

/// What some trainings have and others do not.
constexpr const char* kOptional[] = {"noise",       "noise_amount", "code_l1",    "code_kl",
                                     "code_target", "beta",         "kl_warm_up", "free_bits",
                                     "interrupted", "train_loss",   "test_loss",  "test_kl"};

void add_optional(Record& record, bool is_variational, const TrainOptions& options,
                  const TrainResult& result) {
  if (options.noise.kind != Noise::none) {
    record["noise"] = to_string(options.noise.kind);
    record["noise_amount"] = text(options.noise.amount);
  }
  if (options.sparsity.is_on()) {
    record["code_l1"] = text(options.sparsity.l1);
    record["code_kl"] = text(options.sparsity.kl);
    record["code_target"] = text(options.sparsity.rho);
  }
  if (is_variational) {
    record["beta"] = text(options.variational.beta);
    record["kl_warm_up"] = text(options.variational.warm_up_epochs);
    record["free_bits"] = text(options.variational.free_bits);
  }
  if (result.interrupted) record["interrupted"] = "true";
  if (result.epochs.empty()) return;
  const EpochResult& last = result.epochs.back();
  record["train_loss"] = fmt::format("{:.9g}", last.train_loss);
  // An interrupted training ended after weights that nobody has judged.
  if (result.interrupted) return;
  if (!std::isnan(last.validation_loss)) {
    record["test_loss"] = fmt::format("{:.9g}", last.validation_loss);
  }
  if (!std::isnan(last.validation_kl)) {
    record["test_kl"] = fmt::format("{:.9g}", last.validation_kl);
  }
}

}  // namespace

void record_training(Model& model, const Dataset& data, const TrainOptions& options,
                     const TrainResult& result) {
  Record record = options_record(options);
  record["data"] = io::to_utf8(data.source());
  record["rows"] = std::to_string(data.rows());
  record["epochs"] = std::to_string(result.epochs.size());
  record["device"] = result.device;
  record["ae_version"] = version();
  add_optional(record, model.spec.is_variational(), options, result);

  for (const char* key : kOptional) model.training.erase(key);
  for (auto& [key, value] : record) model.training[key] = std::move(value);
}

}  // namespace ae
