#include "cli/training_options.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <variant>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ae/error.hpp"

#include "formulas/losses.hpp"
#include "formulas/optimizers.hpp"
#include "layers/names.hpp"
#include "train/data_fit.hpp"

namespace ae::cli {

namespace {

std::string_view full_name(Loss loss) {
  std::string_view name;
  for_formula(loss, losses::Losses{}, [&]<typename Formula>() { name = Formula::kTitle; });
  return name;
}

std::string_view full_name(Reduction reduction) {
  return reduction == Reduction::mean ? "mean over all elements"
                                      : "summed per sample, mean over samples";
}

/// The same layer with another activation, where it has one.
LayerSpec with_activation(LayerSpec layer, Activation activation) {
  std::visit(
      [activation](auto& spec) {
        if constexpr (requires { spec.activation; }) spec.activation = activation;
      },
      layer);
  return layer;
}

Activation activation_of(const LayerSpec& layer) {
  return std::visit(
      [](const auto& spec) {
        if constexpr (requires { spec.activation; }) {
          return spec.activation;
        } else {
          return Activation::identity;
        }
      },
      layer);
}

}  // namespace

void TrainingOptions::add_to(Options& options) {
  options.group("Model");
  options.add("hidden", hidden_, "N,N,…", "encoder widths; the decoder mirrors them");
  options.add("encoder", encoder_, "LAYERS", "instead: 'dense 64 tanh, gaussian 20', …");
  options.add("decoder", decoder_, "LAYERS", "the same; a dense encoder is mirrored without it");
  options.add_flag("tied", tied_, "such a mirror has the encoder's weights, transposed");
  options.add("activation", activation_, "NAME", "of hidden layers: relu, gelu, silu, tanh, …");
  options.add("output-activation", output_activation_, "NAME", "of the last layer");
  options.group("Objective");
  options.add("loss", loss_, "NAME", list_of(names_of(losses::Losses{})));
  options.add("reduction", reduction_, "NAME", "mean over elements, or sum per sample");
  options.add("noise", noise_, "NAME", "on inputs: gaussian, masking, salt_and_pepper");
  options.add("noise-amount", training.noise.amount, "X", "standard deviation, or probability");
  options.add("code-l1", training.sparsity.l1, "X", "sparse code: times its sum of |y|, a sample");
  options.add("code-kl", training.sparsity.kl, "X",
              "sparse code: times KL(target, mean activation)");
  options.add("code-target", training.sparsity.rho, "X", "that target, of each unit");
  options.add("beta", training.variational.beta, "X", "gaussian code: times its KL divergence");
  options.add("kl-warm-up", training.variational.warm_up_epochs, "N",
              "gaussian code: epochs over which beta grows");
  options.add("free-bits", training.variational.free_bits, "X",
              "gaussian code: nats of KL a unit has for nothing");
  options.group("Training");
  options.add("optimizer", optimizer_, "NAME", list_of(names_of(optimizers::Optimizers{})));
  options.add("learning-rate", training.optimizer.learning_rate, "X", "above 0");
  options.add("beta1", training.optimizer.beta1, "X", "Adam's decay of the gradient's mean");
  options.add("beta2", training.optimizer.beta2, "X", "Adam's decay of its square's mean");
  options.add("epsilon", training.optimizer.epsilon, "X", "keeps roots of nothing from dividing");
  options.add("momentum", training.optimizer.momentum, "X", "of sgd and nesterov");
  options.add("rho", training.optimizer.rho, "X", "rmsprop's and adadelta's decay of means");
  options.add("weight-decay", training.optimizer.weight_decay, "X", "L2; decoupled with adamw");
  options.add("clip-norm", training.clip_norm, "X",
              "scales a step's gradients down to it; 0 does not");
  options.add("ema", training.ema_decay, "X", "decay of the weights' average, as 0.999; 0: off");
  options.add("epochs", training.epochs, "N", "times through the data");
  options.add("batch-size", training.batch_size, "N", "rows a step");
  options.add("seed", training.seed, "N", "of all randomness; same seed, same model");
  ScheduleOptions& schedule = training.schedule;
  options.group("Learning rate");
  options.add("schedule", schedule_, "NAME", "constant, step, cosine, plateau");
  options.add("schedule-factor", schedule.factor, "X", "what step and plateau take it times");
  options.add("schedule-epochs", schedule.step_epochs, "N", "from one step to the next");
  options.add("schedule-patience", schedule.patience, "N",
              "epochs without progress that make a plateau");
  options.add("schedule-floor", schedule.floor, "X", "the least that a schedule makes of it");
  options.add("warm-up", schedule.warm_up, "X", "epochs in which it rises from 0, whole or not");
}

void TrainingOptions::resolve(const Options& options) {
  training.optimizer.kind = parse_optimizer(optimizer_);
  training.schedule.kind = parse_schedule(schedule_);
  training.loss = parse_loss(loss_);
  training.reduction = parse_reduction(reduction_);
  training.noise.kind = parse_noise(noise_);
  if (encoder_.empty() && !decoder_.empty()) {
    throw UsageError("--decoder goes with --encoder, give both");
  }
  if (tied_ && !decoder_.empty()) {
    throw UsageError(
        "--tied ties the decoder that mirrors the encoder, but --decoder gives another; write "
        "'tied' in its layers instead, as 'dense 784 tied'");
  }
  if (!encoder_.empty()) {
    if (options.given("hidden") && !hidden_.empty()) {
      throw UsageError("--hidden and --encoder both say what the encoder is, give one of them");
    }
    hidden_.clear();  // a repeated run finds one description only
  }
  if (training.noise.kind == Noise::none && training.noise.amount != 0) {
    throw UsageError("--noise-amount needs a --noise, choose one or leave it out");
  }
  training.validate();
  output_activation_is_given_ = options.given("output-activation");
  const Activation output = parse_activation(output_activation_);
  if (encoder_.empty()) {
    // The input is a stand-in for the data's; everything else of the model is checked with it.
    dense_autoencoder({1}, hidden_, parse_activation(activation_), output);
    if (training.loss == Loss::bce && output != Activation::sigmoid) {
      throw UsageError(
          fmt::format("--loss bce needs --output-activation sigmoid, not {}; or choose --loss mse",
                      output_activation_));
    }
  } else {
    for (const std::vector<std::string>* layers : {&encoder_, &decoder_}) {
      for (const std::string& layer : *layers) parse_layer(layer, parse_activation(activation_));
    }
  }
}

std::string TrainingOptions::fit_output(const Dataset& rows) {
  const ValueRange values = rows.range();
  // Others than finite values are refused when all is checked.
  if (training.loss == Loss::bce || !std::isfinite(values.low) || !std::isfinite(values.high)) {
    return {};
  }
  const std::string has =
      fmt::format("{} has values from {} to {}", rows.source(), values.low, values.high);
  const auto refuse = [&](const std::string& what, Activation activation, const std::string& give) {
    const ValueRange outputs = output_range(activation);
    throw UsageError(
        fmt::format("{}, but {} makes values from {} to {}; give {}, or scale the "
                    "values",
                    has, what, outputs.low, outputs.high, give));
  };
  if (!decoder_.empty()) {
    const LayerSpec last = parse_layer(decoder_.back(), Activation::identity);
    const Activation own = activation_of(last);
    // A layer that names its activation is the same whatever the default is.
    if (last == parse_layer(decoder_.back(), Activation::sigmoid)) {
      if (can_make(own, values)) return {};
      refuse(
          fmt::format("the last layer of --decoder, '{}',", to_string(last)), own,
          fmt::format("'{}' in its place", to_string(with_activation(last, Activation::identity))));
    }
  }
  const Activation output = parse_activation(output_activation_);
  if (can_make(output, values)) return {};
  if (output_activation_is_given_) {
    refuse("--output-activation " + output_activation_, output, "--output-activation identity");
  }
  output_activation_ = to_string(Activation::identity);
  return fmt::format(
      "{}, outside [0, 1], so the output activation is identity, not {}; "
      "--output-activation chooses another",
      has, to_string(output));
}

bool TrainingOptions::has_image_layer() const {
  const auto works_on_images = [](const std::string& text) {
    return traits_of(parse_layer(text, Activation::identity)).wants_image;
  };
  return std::any_of(encoder_.begin(), encoder_.end(), works_on_images) ||
         std::any_of(decoder_.begin(), decoder_.end(), works_on_images);
}

ModelSpec TrainingOptions::model(Shape input_shape) const {
  const Activation activation = parse_activation(activation_);
  const Activation output = parse_activation(output_activation_);
  return encoder_.empty()
             ? dense_autoencoder(std::move(input_shape), hidden_, activation, output, tied_)
             : parse_model(std::move(input_shape), encoder_, decoder_, activation, output, tied_);
}

std::string TrainingOptions::short_name() const {
  if (encoder_.empty()) return fmt::format("{}", fmt::join(hidden_, "-"));
  std::string name;
  for (const std::string& text : encoder_) {
    const LayerSpec layer = parse_layer(text, Activation::identity);
    if (!name.empty()) name += '-';
    if (const auto* dense = std::get_if<DenseSpec>(&layer)) {
      name += std::to_string(dense->units);
    } else if (const auto* gaussian = std::get_if<GaussianSpec>(&layer)) {
      name += fmt::format("gaussian{}", gaussian->units);
    } else if (const auto* convolution = std::get_if<ConvolutionSpec>(&layer)) {
      name += fmt::format("conv{}", convolution->channels);
    } else {
      name.resize(name.empty() ? 0 : name.size() - 1);
    }
  }
  return name;
}

std::string shapes_through(const ModelSpec& spec) {
  std::string text = std::to_string(spec.inputs());
  for (const LayerSlice& slice : layer_slices(spec)) {
    text += fmt::format(" → {}", to_string(slice.output_shape));
  }
  return text;
}

std::string learning_rate(const TrainOptions& options) {
  const ScheduleOptions& schedule = options.schedule;
  std::string text = fmt::format("{:g}", options.optimizer.learning_rate);
  const std::string floor =
      schedule.floor > 0 ? fmt::format(", down to {:g}", schedule.floor) : std::string();
  switch (schedule.kind) {
    case Schedule::constant:
      break;
    case Schedule::step:
      text += fmt::format(", times {:g} every {} epochs{}", schedule.factor, schedule.step_epochs,
                          floor);
      break;
    case Schedule::cosine:
      text += fmt::format(", cosine to {:g}", schedule.floor);
      break;
    case Schedule::plateau:
      text += fmt::format(", times {:g} after {} epochs without progress{}", schedule.factor,
                          schedule.patience, floor);
      break;
  }
  if (schedule.warm_up > 0) text += fmt::format(", {:g} epochs of warm-up", schedule.warm_up);
  return text;
}

std::string loss_name(const TrainOptions& options, const ModelSpec& spec) {
  std::string divergence;
  if (spec.is_variational()) {
    const float beta = options.variational.beta;
    divergence = beta == 1 ? " + KL" : fmt::format(" + {:g}·KL", beta);
  }
  return fmt::format("{}{}, {}", full_name(options.loss), divergence, full_name(options.reduction));
}

}  // namespace ae::cli
