#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "ae/ae.hpp"

#include "cli/commands.hpp"
#include "cli/interrupt.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "cli/progress.hpp"
#include "cli/run_folder.hpp"
#include "report/html.hpp"
#include "report/report.hpp"

namespace ae::cli {

namespace {

using report::format_count;
using report::format_loss;

constexpr int kInterrupted = 130;
/// The picture: pairs in it, and in one of its lines.
constexpr std::int64_t kPicturePairs = 20;
constexpr int kPictureColumns = 10;
constexpr int kPictureScale = 3;

struct TrainCommand {
  TrainOptions training;
  DataOptions data;
  std::string test_data;
  std::vector<std::int64_t> hidden = {32};
  std::string activation{to_string(Activation::relu)};
  std::string output_activation{to_string(Activation::sigmoid)};
  std::string loss{to_string(training.loss)};
  std::string reduction{to_string(training.reduction)};
  std::string optimizer{to_string(training.optimizer.kind)};
  std::string schedule{to_string(training.schedule.kind)};
  std::filesystem::path out;
  bool json = false;
  bool quiet = false;
  bool no_report = false;

  void add_to(Options& options) {
    options.group("Data");
    data.add_to(options);
    options.add("test-data", test_data, "PATH", "held-out rows, for data given as a path");
    options.group("Model");
    options.add("hidden", hidden, "N,N,…", "encoder widths; the decoder mirrors them");
    options.add("activation", activation, "NAME",
                "of hidden layers: relu, elu, gelu, silu, tanh, sigmoid, …");
    options.add("output-activation", output_activation, "NAME", "of the last layer");
    options.group("Training");
    options.add("loss", loss, "NAME", "bce, mse, mae or huber");
    options.add("reduction", reduction, "NAME", "mean over elements, or sum per sample");
    options.add("optimizer", optimizer, "NAME", "adam, adamw, sgd, nesterov, rmsprop, adadelta");
    options.add("learning-rate", training.optimizer.learning_rate, "X", "above 0");
    options.add("beta1", training.optimizer.beta1, "X", "Adam's decay of the gradient's mean");
    options.add("beta2", training.optimizer.beta2, "X", "Adam's decay of its square's mean");
    options.add("epsilon", training.optimizer.epsilon, "X", "keeps roots of nothing from dividing");
    options.add("momentum", training.optimizer.momentum, "X", "of sgd and nesterov");
    options.add("rho", training.optimizer.rho, "X", "rmsprop's and adadelta's decay of means");
    options.add("weight-decay", training.optimizer.weight_decay, "X", "L2; decoupled with adamw");
    options.add("clip-norm", training.clip_norm, "X",
                "scales a step's gradients down to it; 0 does not");
    options.add("ema", training.ema_decay, "X",
                "decay of the weights' moving average, as 0.999; 0 keeps none");
    options.add("epochs", training.epochs, "N", "times through the data");
    options.add("batch-size", training.batch_size, "N", "rows a step");
    options.add("seed", training.seed, "N", "of weights and shuffles; same seed, same model");
    add_schedule_to(options);
    options.group("Running");
    add_device_options(options, training.device);
    options.group("Output");
    options.add("out", out, "DIR", "the run folder; default runs/DATA-HIDDEN");
    options.add_flag("json", json, "one JSON object a line on stdout");
    options.add_flag("quiet", quiet, "say nothing but errors");
    options.add_flag("no-report", no_report, "no baselines, no report.html");
    options.add_example("ae train --hidden 128,64,32 --epochs 100 --out runs/deep");
    options.add_example("ae train --data photos.npy --loss mse --output-activation identity");
  }

  void add_schedule_to(Options& options) {
    ScheduleOptions& to = training.schedule;
    options.group("Learning rate");
    options.add("schedule", schedule, "NAME",
                "what becomes of it: constant, step, cosine, plateau");
    options.add("schedule-factor", to.factor, "X", "what step and plateau take it times");
    options.add("schedule-epochs", to.step_epochs, "N", "from one step to the next");
    options.add("schedule-patience", to.patience, "N",
                "epochs without progress that make a plateau");
    options.add("schedule-floor", to.floor, "X", "the least that a schedule makes of it");
    options.add("warm-up", to.warm_up, "X", "epochs in which it rises from 0, whole or not");
  }

  [[nodiscard]] Voice voice() const {
    return json ? Voice::json : quiet ? Voice::quiet : Voice::human;
  }

  /// Turns names into what the library takes, and checks all that can be checked without the data.
  void resolve() {
    if (json && quiet)
      throw UsageError("--json and --quiet contradict each other, give one of them");
    training.optimizer.kind = parse_optimizer(optimizer);
    training.schedule.kind = parse_schedule(schedule);
    training.loss = parse_loss(loss);
    training.reduction = parse_reduction(reduction);
    training.validate();
    if (is_named_dataset(data.data) && !test_data.empty()) {
      throw UsageError(
          fmt::format("--test-data goes with a path, but {} brings its own test rows", data.data));
    }
    // The input is a stand-in for the data's; everything else of the model is checked with it.
    dense_autoencoder({1}, hidden, parse_activation(activation),
                      parse_activation(output_activation));
    if (training.loss == Loss::bce && parse_activation(output_activation) != Activation::sigmoid) {
      throw UsageError(
          fmt::format("--loss bce needs --output-activation sigmoid, not {}; or choose --loss mse",
                      output_activation));
    }
  }

  [[nodiscard]] std::string default_folder_name() const {
    const std::string name =
        is_named_dataset(data.data) ? data.data : std::filesystem::path(data.data).stem().string();
    return fmt::format("{}-{}", name.empty() ? "data" : name, fmt::join(hidden, "-"));
  }
};

/// Rows to train on and, where there are any, rows to judge by.
struct Rows {
  Dataset training;
  std::optional<Dataset> test;
};

Rows load_rows(const TrainCommand& command) {
  Rows rows;
  const DataOptions& data = command.data;
  if (is_named_dataset(data.data)) {
    TrainTest named = load_named(data.data, data.directory());
    rows.training = std::move(named.train);
    rows.test = std::move(named.test);
  } else {
    rows.training = load_dataset(data.data);
    if (!command.test_data.empty()) rows.test = load_dataset(command.test_data);
  }
  if (rows.training.row_size() == 1) {
    throw Error(
        fmt::format("{} has one value a row, which looks like labels, not like samples to "
                    "reconstruct; give the file with the samples",
                    rows.training.source()));
  }
  rows.training = limited(std::move(rows.training), data.limit);
  return rows;
}

std::string widths(const ModelSpec& spec) {
  std::string text = std::to_string(spec.inputs());
  for (const DenseSpec& layer : spec.layers()) text += fmt::format(" → {}", layer.units);
  return text;
}

std::string_view full_name(Loss loss) {
  switch (loss) {
    case Loss::bce:
      return "binary cross-entropy";
    case Loss::mse:
      return "squared error";
    case Loss::mae:
      return "absolute error";
    case Loss::huber:
      return "Huber loss";
  }
  return "loss";
}

std::string loss_name(const TrainOptions& options) {
  return fmt::format("{}, {}", full_name(options.loss),
                     options.reduction == Reduction::mean ? "mean over all elements"
                                                          : "summed per sample, mean over samples");
}

/// How the learning rate moves, in words: "0.001", "0.001, cosine to 0, 2 epochs of warm-up".
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

/// What is kept with the model: everything that its numbers depend on, and nothing that varies
/// between runs which give the same numbers.
std::map<std::string, std::string> training_record(const TrainCommand& command, const Rows& rows,
                                                   const TrainResult& result, double test_loss) {
  const TrainOptions& options = command.training;
  std::map<std::string, std::string> record = {
      {"data", rows.training.source()},
      {"rows", std::to_string(rows.training.rows())},
      {"loss", std::string(to_string(options.loss))},
      {"reduction", std::string(to_string(options.reduction))},
      {"optimizer", command.optimizer},
      {"learning_rate", fmt::format("{}", options.optimizer.learning_rate)},
      {"beta1", fmt::format("{}", options.optimizer.beta1)},
      {"beta2", fmt::format("{}", options.optimizer.beta2)},
      {"epsilon", fmt::format("{}", options.optimizer.epsilon)},
      {"momentum", fmt::format("{}", options.optimizer.momentum)},
      {"rho", fmt::format("{}", options.optimizer.rho)},
      {"weight_decay", fmt::format("{}", options.optimizer.weight_decay)},
      {"schedule", std::string(to_string(options.schedule.kind))},
      {"schedule_factor", fmt::format("{}", options.schedule.factor)},
      {"schedule_epochs", std::to_string(options.schedule.step_epochs)},
      {"schedule_patience", std::to_string(options.schedule.patience)},
      {"schedule_floor", fmt::format("{}", options.schedule.floor)},
      {"warm_up", fmt::format("{}", options.schedule.warm_up)},
      {"clip_norm", fmt::format("{}", options.clip_norm)},
      {"ema", fmt::format("{}", options.ema_decay)},
      {"batch_size", std::to_string(options.batch_size)},
      {"seed", std::to_string(options.seed)},
      {"epochs", std::to_string(result.epochs.size())},
      {"device", result.device},
      {"ae_version", std::string(version())},
  };
  if (result.interrupted) record["interrupted"] = "true";
  if (!result.epochs.empty()) {
    record["train_loss"] = fmt::format("{:.9g}", result.epochs.back().train_loss);
  }
  if (!std::isnan(test_loss)) record["test_loss"] = fmt::format("{:.9g}", test_loss);
  return record;
}

report::Report make_report(const TrainCommand& command, const ModelSpec& spec, const Rows& rows,
                           const TrainResult& result, const DeviceInfo& device) {
  const TrainOptions& options = command.training;
  report::Report report;
  report.title = fmt::format("{} · {}", command.data.data, widths(spec));
  report.data = fmt::format(
      "{} training rows{} of {}", format_count(rows.training.rows()),
      rows.test ? fmt::format(" and {} test rows", format_count(rows.test->rows())) : std::string(),
      to_string(rows.training.row_shape()));
  report.loss_name = loss_name(options);
  report.epochs = result.epochs;
  report.interrupted = result.interrupted;
  report.seconds = result.seconds;
  report.configuration = {
      {"encoder", fmt::format("{} ({})", fmt::join(command.hidden, " → "), command.activation)},
      {"output", command.output_activation},
      {"parameters", format_count(spec.parameter_count())},
      {"loss", loss_name(options)},
      {"optimizer", command.optimizer},
      {"learning rate", learning_rate(options)},
      {"batch size", format_count(options.batch_size)},
      {"epochs", format_count(options.epochs)},
      {"seed", std::to_string(options.seed)},
  };
  if (options.clip_norm > 0) {
    report.configuration.emplace_back("gradients",
                                      fmt::format("clipped to the norm {:g}", options.clip_norm));
  }
  if (options.ema_decay > 0) {
    report.configuration.emplace_back("weights",
                                      fmt::format("moving average, decay {:g}", options.ema_decay));
  }
  report.machine = {
      {"device", device.name}, {"", device.description}, {"ae", std::string(version())}};
  return report;
}

/// Evenly spread rows, so that the picture of sorted data is not all of one kind.
Dataset picture_rows(const Dataset& data) {
  const std::int64_t count = std::min(kPicturePairs, data.rows());
  std::vector<float> values(static_cast<std::size_t>(count * data.row_size()));
  for (std::int64_t i = 0; i < count; ++i) {
    data.copy_row(i, std::span(values).subspan(static_cast<std::size_t>(i * data.row_size()),
                                               static_cast<std::size_t>(data.row_size())));
  }
  return {data.source(), data.row_shape(), std::move(values)};
}

}  // namespace

int run_train(const Arguments& arguments) {
  TrainCommand command;
  Options options("train [options]", "Trains an autoencoder and writes a run folder.");
  command.add_to(options);
  if (!options.parse(arguments)) return 0;
  command.resolve();
  const Voice voice = command.voice();
  TrainOptions& training = command.training;
  const DeviceInfo device = resolve_device(training.device);

  const Rows rows = load_rows(command);
  const ModelSpec spec = dense_autoencoder(rows.training.row_shape(), command.hidden,
                                           parse_activation(command.activation),
                                           parse_activation(command.output_activation));
  if (command.out.empty()) command.out = RunFolder::unused(command.default_folder_name());
  RunFolder folder(command.out);
  folder.write_config(options.to_toml());

  if (voice == Voice::human) {
    print(fmt::format("{} on {}: {}\n{} rows, {} epochs, batch {}, seed {} → {}\n", widths(spec),
                      device.name, device.description, format_count(rows.training.rows()),
                      training.epochs, training.batch_size, training.seed, command.out.string()));
    if (training.device.device == "auto" && device.name == "cpu") {
      for (const DeviceInfo& other : list_devices()) {
        if (!other.usable) print(fmt::format("not on {}: {}\n", other.name, other.why_not));
      }
    }
  }

  watch_for_interrupt();
  const bool moves = training.schedule.kind != Schedule::constant || training.schedule.warm_up > 0;
  Progress progress(voice, training.epochs, moves ? Progress::Rate::shown : Progress::Rate::hidden);
  training.stop_requested = interrupted;
  training.on_epoch = [&](const EpochResult& epoch) {
    folder.add_metrics(epoch);
    progress.show(epoch);
  };
  if (progress.is_live()) {
    training.on_progress = [&](const StepProgress& step) { progress.show(step); };
  }
  Model model = Model::initialize(spec, training.seed);
  const TrainResult result =
      train(model, rows.training, rows.test ? &*rows.test : nullptr, training);
  progress.clear();

  double test_loss = std::numeric_limits<double>::quiet_NaN();
  if (rows.test) {
    // The last epoch ended with this very evaluation, unless there was none or it was cut short.
    test_loss =
        result.epochs.empty() || result.interrupted
            ? evaluate(model, *rows.test, training.loss, training.reduction, training.device)
            : result.epochs.back().validation_loss;
  }
  model.training = training_record(command, rows, result, test_loss);
  save_model(model, folder.model());
  if (voice == Voice::human && result.interrupted) {
    print(fmt::format("interrupted after {} finished epochs; the model as it is: {}\n",
                      result.epochs.size(), folder.model().string()));
  }

  const Dataset& shown = rows.test ? *rows.test : rows.training;
  report::Report report = make_report(command, spec, rows, result, device);
  report.test_loss = test_loss;
  const bool has_picture = report::image_extents(spec.input_shape).has_value();
  if (has_picture) {
    const Dataset originals = picture_rows(shown);
    report.reconstructions = report::reconstruction_grid(
        spec.input_shape, originals.floats(), reconstruct(model, originals, training.device),
        kPictureColumns, kPictureScale);
    report::write_png(*report.reconstructions, folder.picture());
  }
  if (!command.no_report) {
    if (rows.test) {
      report.baselines =
          report::compute_baselines(rows.training, *rows.test, training.loss, training.reduction,
                                    static_cast<int>(spec.latent()), command.data.directory());
      report.test_squared_error_per_row =
          evaluate(model, *rows.test, Loss::mse, Reduction::sum, training.device);
    }
    report::write_report(report, folder.report());
  }

  const double train_loss = result.epochs.empty() ? std::numeric_limits<double>::quiet_NaN()
                                                  : result.epochs.back().train_loss;
  if (voice == Voice::json) {
    print_json({{"event", "done"},
                {"device", result.device},
                {"epochs", result.epochs.size()},
                {"train_loss", train_loss},
                {"test_loss", test_loss},
                {"seconds", result.seconds},
                {"parameters", spec.parameter_count()},
                {"model", folder.model().string()},
                {"interrupted", result.interrupted}});
  } else if (voice == Voice::human) {
    std::string summary =
        rows.test ? fmt::format("test loss {:.5f} ({})", test_loss, loss_name(training))
                  : fmt::format("train loss {:.5f} ({})", train_loss, loss_name(training));
    summary += fmt::format(", {} epochs in {:.1f} s\n", result.epochs.size(), result.seconds);
    if (report.baselines) {
      summary += fmt::format("floor {}, mean image {}: {:.1f} % of that gap closed\n",
                             format_loss(report.baselines->floor),
                             format_loss(report.baselines->mean_image),
                             100 * report::closed_gap(*report.baselines, test_loss));
    }
    summary += fmt::format("model    {}\n", folder.model().string());
    if (has_picture) summary += fmt::format("picture  {}\n", folder.picture().string());
    if (!command.no_report) summary += fmt::format("report   {}\n", folder.report().string());
    print(summary);
  }
  return result.interrupted ? kInterrupted : 0;
}

}  // namespace ae::cli
