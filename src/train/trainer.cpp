#include "train/trainer.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "optimizers.hpp"
#include "train/shuffle.hpp"

namespace ae {

namespace {

using Clock = std::chrono::steady_clock;

constexpr double kProgressInterval = 0.1;  // seconds

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

Trainer::Trainer(Backend& backend, Model& model, const Dataset& training, const Dataset* validation,
                 const TrainOptions& options)
    : backend_(backend),
      model_(model),
      options_(options),
      rows_(training.rows()),
      batch_(std::min(options.batch_size, training.rows())),
      steps_per_epoch_((rows_ + batch_ - 1) / batch_),
      density_(density_after(options.noise, training.density())),
      is_variational_(model.spec.is_variational()),
      data_(backend.make_resident(training)),
      order_(static_cast<std::size_t>(rows_)),
      permutation_(backend, rows_),
      step_count_(backend, 1),
      sums_(backend, 3),
      x_(backend, batch_ * training.row_size()),
      noisy_(backend, options.noise.kind == Noise::none ? 0 : x_.size()),
      parameters_(backend, model),
      gradients_(backend, parameters_.trainable()),
      first_state_(backend,
                   optimizer_states(options.optimizer.kind) > 0 ? parameters_.trainable() : 0),
      second_state_(backend,
                    optimizer_states(options.optimizer.kind) > 1 ? parameters_.trainable() : 0),
      learning_rate_(options, steps_per_epoch_),
      network_(backend, model.spec, parameters_, batch_, Network::Use::training) {
  if (!learning_rate_.is_constant()) {
    rates_.resize(static_cast<std::size_t>(steps_per_epoch_));
    device_rates_ = DeviceArray<float>(backend, steps_per_epoch_);
  }
  if (options.clip_norm > 0) clip_scale_ = DeviceArray<float>(backend, 1);
  if (options.ema_decay > 0) average_.emplace(backend, model);
  if (validation != nullptr) {
    validation_.emplace(backend, model.spec, outcome(), *validation, evaluation_options(options));
  }
  full_step_ = backend.record([this] { step(batch_); });
  const std::int64_t remainder = rows_ % batch_;
  if (remainder != 0) last_step_ = backend.record([this, remainder] { step(remainder); });
}

void Trainer::step(std::int64_t rows) {
  const Matrix x{x_.data(), rows, data_->row_size()};
  const auto scale =
      static_cast<float>(1 / loss_divisor(options_.reduction, rows, data_->row_size()));

  backend_.gather_batch({.data = data_.get(),
                         .permutation = permutation_.data(),
                         .step = step_count_.data(),
                         .steps_per_epoch = steps_per_epoch_,
                         .batch_size = batch_,
                         .x = x});
  ConstMatrix input = x;
  if (options_.noise.kind != Noise::none) {
    const Matrix noisy{noisy_.data(), rows, x.cols};
    backend_.corrupt_batch({.noise = options_.noise,
                            .seed = options_.seed,
                            .step = step_count_.data(),
                            .clean = x,
                            .noisy = noisy});
    input = noisy;
  }
  const CodeDraw draw{.mean_only = false, .seed = options_.seed, .step = step_count_.data()};
  const Objective objective{
      .loss = options_.loss,
      .gradient_scale = scale,
      .sparsity = options_.sparsity,
      .beta = options_.variational.beta,
      .warm_up_steps = std::llround(static_cast<double>(options_.variational.warm_up_epochs) *
                                    static_cast<double>(steps_per_epoch_)),
      .free_bits = options_.variational.free_bits};
  const Matrix logits = network_.run_to_logits(input, density_, draw);
  network_.backward(logits, x, objective, draw, gradients_.data(),
                    {.loss = sums_.data(), .penalty = sums_.data() + 2, .kl = sums_.data() + 1});
  if (options_.clip_norm > 0) {
    backend_.clip_scale({.gradients = gradients_.data(),
                         .count = parameters_.trainable(),
                         .max_norm = options_.clip_norm,
                         .scale = clip_scale_.data()});
  }
  backend_.optimizer_step({.options = options_.optimizer,
                           .parameters = parameters_.data(),
                           .gradients = gradients_.data(),
                           .first = first_state_.data(),
                           .second = second_state_.data(),
                           .count = parameters_.trainable(),
                           .step = step_count_.data(),
                           .learning_rates = device_rates_.data(),
                           .steps_per_epoch = steps_per_epoch_,
                           .gradient_scale = clip_scale_.data(),
                           .average = average_ ? average_->data() : nullptr,
                           .average_decay = options_.ema_decay});
}

void Trainer::store() {
  if (average_) average_->take_statistics(parameters_);
  outcome().download(model_);
}

template <typename Function, typename... Arguments>
auto Trainer::call(const Function& function, const Arguments&... arguments) {
  using Result = decltype(function(arguments...));
  if (!function) return Result();
  try {
    return function(arguments...);
  } catch (...) {
    store();  // what was learnt must not be lost with the caller's error
    throw;
  }
}

TrainResult Trainer::run() {
  TrainResult result;
  result.device = backend_.name();
  const Clock::time_point start = Clock::now();
  if (options_.epochs > 0) shuffle_rows(options_.seed, 1, order_);

  for (std::int64_t epoch = 1; epoch <= options_.epochs && !result.interrupted; ++epoch) {
    EpochResult finished{.epoch = epoch};
    result.interrupted = !run_epoch(epoch, finished);
    if (result.interrupted) break;
    if (average_) average_->take_statistics(parameters_);
    if (validation_) {
      const EvaluationResult held_out = validation_->run();
      finished.validation_loss = held_out.loss;
      finished.validation_reconstruction = held_out.reconstruction;
      finished.validation_kl = held_out.kl;
    }
    require_finite(finished);
    learning_rate_.end_epoch(validation_ ? finished.validation_loss : finished.train_loss);
    result.epochs.push_back(finished);
    call(options_.on_epoch, finished);
  }

  store();
  result.seconds = seconds_since(start);
  return result;
}

void Trainer::require_finite(const EpochResult& epoch) const {
  // The training loss is taken before each update, so what the last one did shows in the validation
  // alone.
  if (std::isfinite(epoch.train_loss) && (!validation_ || std::isfinite(epoch.validation_loss))) {
    return;
  }
  throw Error(
      fmt::format("training diverged, the loss of epoch {} is not a number, use a smaller "
                  "learning rate (it is {})",
                  epoch.epoch, options_.optimizer.learning_rate));
}

bool Trainer::run_epoch(std::int64_t epoch, EpochResult& result) {
  const Clock::time_point start = Clock::now();
  const Range range(backend_, fmt::format("epoch {}", epoch));
  permutation_.upload(order_);
  if (learning_rate_.fill(epoch, rates_)) device_rates_.upload(rates_);
  sums_.clear();

  double next_report = kProgressInterval;
  for (std::int64_t step = 0; step < steps_per_epoch_; ++step) {
    const bool is_short = last_step_ && step + 1 == steps_per_epoch_;
    {
      const Range step_range(backend_, "step");
      (is_short ? last_step_ : full_step_)->replay();
    }
    if (call(options_.stop_requested)) return false;
    if (options_.on_progress) {
      const double seconds = seconds_since(start);
      if (seconds < next_report) continue;
      next_report = seconds + kProgressInterval;
      report_progress(epoch, (step + 1) * batch_, seconds);
    }
  }

  // A device may still be at work on this epoch.
  if (epoch < options_.epochs) shuffle_rows(options_.seed, epoch + 1, order_);
  read_sums(result);
  result.learning_rate = static_cast<float>(learning_rate_.at(epoch, steps_per_epoch_ - 1));
  result.seconds = seconds_since(start);
  if (result.seconds > 0) result.samples_per_second = static_cast<double>(rows_) / result.seconds;
  return true;
}

void Trainer::read_sums(EpochResult& result) const {
  std::array<double, 3> sums{};
  sums_.download(sums);
  const auto [losses, kl, penalty] = sums;
  const double divisor = loss_divisor(options_.reduction, rows_, data_->row_size());
  result.train_loss = losses / divisor;
  if (is_variational_) {
    result.train_loss += static_cast<double>(options_.variational.beta) * kl / divisor;
    result.train_kl = kl / static_cast<double>(rows_);
  }
  if (options_.sparsity.is_on()) result.penalty = penalty / static_cast<double>(rows_);
}

void Trainer::report_progress(std::int64_t epoch, std::int64_t samples, double seconds) {
  samples = std::min(samples, rows_);
  call(options_.on_progress,
       StepProgress{.epoch = epoch,
                    .samples_done = samples,
                    .samples = rows_,
                    .running_loss = backend_.peek(sums_.data()) /
                                    loss_divisor(options_.reduction, samples, data_->row_size()),
                    .seconds = seconds});
}

}  // namespace ae
