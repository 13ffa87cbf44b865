#include "train/trainer.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "formulas/optimizers.hpp"
#include "train/shuffle.hpp"

namespace ae {

namespace {

using Clock = std::chrono::steady_clock;

constexpr double kProgressInterval = 0.1;  // seconds

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

Trainer::Trainer(Device& device, Model& model, const Dataset& training, const Dataset* validation,
                 const TrainOptions& options)
    : device_(device),
      model_(model),
      options_(options),
      rows_(training.rows()),
      batch_(std::min(options.batch_size, training.rows())),
      steps_per_epoch_((rows_ + batch_ - 1) / batch_),
      density_(density_after(options.noise, training.density())),
      is_variational_(model.spec.is_variational()),
      data_(device.make_resident(training)),
      order_(static_cast<std::size_t>(rows_)),
      permutation_(device, rows_),
      step_count_(device, 1),
      sums_(device, 3),
      x_(device, batch_ * training.row_size()),
      noisy_(device, options.noise.kind == Noise::none ? 0 : x_.size()),
      parameters_(device, model),
      gradients_(device, parameters_.trainable()),
      first_state_(device,
                   optimizer_states(options.optimizer.kind) > 0 ? parameters_.trainable() : 0),
      second_state_(device,
                    optimizer_states(options.optimizer.kind) > 1 ? parameters_.trainable() : 0),
      learning_rate_(options, steps_per_epoch_),
      network_(device, model.spec, parameters_, batch_, Network::Use::training) {
  if (!learning_rate_.is_constant()) {
    rates_.resize(static_cast<std::size_t>(steps_per_epoch_));
    device_rates_ = DeviceArray<float>(device, steps_per_epoch_);
  }
  if (options.clip_norm > 0) clip_scale_ = DeviceArray<float>(device, 1);
  if (options.ema_decay > 0) average_.emplace(device, model);
  if (validation != nullptr) {
    validation_.emplace(device, model.spec, outcome(), *validation, evaluation_options(options));
  }
  full_step_ = device.compile(step(batch_));
  const std::int64_t remainder = rows_ % batch_;
  if (remainder != 0) last_step_ = device.compile(step(remainder));
}

Step Trainer::step(std::int64_t rows) {
  Step step;
  const Matrix x{x_.data(), rows, data_->row_size()};
  const Tensor<std::int64_t> count = step_count_.tensor();
  const auto scale =
      static_cast<float>(1 / loss_divisor(options_.reduction, rows, data_->row_size()));

  step.add(GatherBatch{.data = data_.get(),
                       .permutation = permutation_.tensor(),
                       .step = count,
                       .steps_per_epoch = steps_per_epoch_,
                       .batch_size = batch_,
                       .x = x});
  Matrix input = x;
  if (options_.noise.kind != Noise::none) {
    input.data = noisy_.data();
    step.add(CorruptBatch{
        .noise = options_.noise, .seed = options_.seed, .step = count, .clean = x, .noisy = input});
  }
  const CodeDraw draw{.mean_only = false, .seed = options_.seed, .step = count};
  const Objective objective{
      .loss = options_.loss,
      .gradient_scale = scale,
      .sparsity = options_.sparsity,
      .beta = options_.variational.beta,
      .warm_up_steps = std::llround(static_cast<double>(options_.variational.warm_up_epochs) *
                                    static_cast<double>(steps_per_epoch_)),
      .free_bits = options_.variational.free_bits};
  const Matrix logits = network_.run_to_logits(step, input, density_, draw);
  network_.backward(step, logits, x, objective, draw, gradients_.data(),
                    {.loss = scalar_of(sums_.data()),
                     .penalty = scalar_of(sums_.data() + 2),
                     .kl = scalar_of(sums_.data() + 1)});
  if (options_.clip_norm > 0) {
    step.add(ClipScale{.gradients = gradients_.tensor(),
                       .max_norm = options_.clip_norm,
                       .scale = clip_scale_.tensor()});
  }
  step.add(OptimizerStep{
      .options = options_.optimizer,
      .parameters = vector_of(parameters_.data(), parameters_.trainable()),
      .gradients = gradients_.tensor(),
      .first = first_state_.tensor(),
      .second = second_state_.tensor(),
      .step = count,
      .learning_rates = device_rates_.tensor(),
      .steps_per_epoch = steps_per_epoch_,
      .gradient_scale = clip_scale_.tensor(),
      .average = average_ ? vector_of(average_->data(), parameters_.trainable()) : Matrix{},
      .average_decay = options_.ema_decay});
  return step;
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

std::vector<Trainer::StateBuffer> Trainer::state_buffers() const {
  std::vector<StateBuffer> buffers{
      {"model", parameters_.data(), parameters_.size()},
      {"optimizer.first", first_state_.data(), first_state_.size()},
      {"optimizer.second", second_state_.data(), second_state_.size()}};
  if (average_) buffers.push_back({"average", average_->data(), average_->size()});
  return buffers;
}

TrainingState Trainer::state() const {
  TrainingState state;
  for (const StateBuffer& buffer : state_buffers()) {
    std::vector<float> values(static_cast<std::size_t>(buffer.size));
    if (values.empty()) continue;
    device_.download(values.data(), buffer.data, values.size() * sizeof(float));
    state.add(buffer.prefix, parameters_.slices(), values);
  }
  std::array<std::int64_t, 1> step{};
  step_count_.download(step);
  const LearningRate::Progress& progress = learning_rate_.progress();
  state.counters = {{"step", step.front()},
                    {"epoch", epochs_done_},
                    {"plateau.without_progress", progress.without_progress},
                    {"plateau.reductions", progress.reductions}};
  state.numbers = {{"plateau.least_loss", progress.least_loss}};
  return state;
}

void Trainer::restore(const TrainingState& state) {
  const std::array<std::int64_t, 1> step{state.counter("step")};
  const std::int64_t epochs = state.counter("epoch");
  if (epochs < 0 || step.front() != epochs * steps_per_epoch_) {
    throw Error(fmt::format(
        "the training's state is of step {} after {} epochs, but these rows and this batch size "
        "make {} steps an epoch",
        step.front(), epochs, steps_per_epoch_));
  }
  const LearningRate::Progress progress{
      .least_loss = state.number("plateau.least_loss"),
      .without_progress = state.counter("plateau.without_progress"),
      .reductions = state.counter("plateau.reductions")};
  std::vector<std::vector<float>> values;  // all of them are right before any is used
  for (const StateBuffer& buffer : state_buffers()) {
    values.emplace_back(static_cast<std::size_t>(buffer.size));
    state.read(buffer.prefix, parameters_.slices(), values.back());
  }
  auto next = values.begin();
  for (const StateBuffer& buffer : state_buffers()) {
    if (!next->empty()) device_.upload(buffer.data, next->data(), next->size() * sizeof(float));
    ++next;
  }
  step_count_.upload(step);
  learning_rate_.set_progress(progress);
  epochs_done_ = epochs;
}

TrainResult Trainer::run() {
  TrainResult result;
  result.device = device_.name();
  const Clock::time_point start = Clock::now();
  const std::int64_t first = epochs_done_ + 1;
  if (first <= options_.epochs) shuffle_rows(options_.seed, first, order_);

  for (std::int64_t epoch = first; epoch <= options_.epochs && !result.interrupted; ++epoch) {
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
    epochs_done_ = epoch;
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
  const Range range(device_, fmt::format("epoch {}", epoch));
  permutation_.upload(order_);
  if (learning_rate_.fill(epoch, rates_)) device_rates_.upload(rates_);
  sums_.clear();

  double next_report = kProgressInterval;
  for (std::int64_t step = 0; step < steps_per_epoch_; ++step) {
    const bool is_short = last_step_ && step + 1 == steps_per_epoch_;
    {
      const Range step_range(device_, "step");
      (is_short ? last_step_ : full_step_)->replay(1);
    }
    if (call(options_.stop_requested)) return false;
    if (options_.on_progress) {
      const double seconds = seconds_since(start);
      if (seconds < next_report) continue;
      next_report = seconds + kProgressInterval;
      const std::int64_t done = std::max(step + 1 - device_.steps_ahead(), std::int64_t{0});
      report_progress(epoch, done * batch_, seconds);
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
                    .running_loss = device_.peek(sums_.data()) /
                                    loss_divisor(options_.reduction, samples, data_->row_size()),
                    .seconds = seconds});
}

}  // namespace ae
