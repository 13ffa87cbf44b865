#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "ae/ae.hpp"

#include "cli/activity.hpp"
#include "cli/commands.hpp"
#include "cli/interrupt.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "cli/progress.hpp"
#include "cli/run_folder.hpp"
#include "cli/training_options.hpp"
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
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

struct TrainCommand {
  TrainingOptions options;
  DataOptions data;
  std::string test_data;
  std::filesystem::path out;
  bool json = false;
  bool quiet = false;
  bool no_report = false;

  void add_to(Options& all) {
    all.group("Data");
    data.add_to(all);
    all.add("test-data", test_data, "PATH", "held-out rows, for data given as a path");
    options.add_to(all);
    all.group("Running");
    add_device_options(all, options.training.device);
    all.group("Output");
    all.add("out", out, "DIR", "the run folder; default runs/DATA-HIDDEN");
    all.add_flag("json", json, "one JSON object a line on stdout");
    all.add_flag("quiet", quiet, "say nothing but errors");
    all.add_flag("no-report", no_report, "no baselines, no report.html");
    all.add_recipes();
    all.add_example("ae train --recipe vae --epochs 20 --out runs/vae");
    all.add_example("ae train --data photos.npy --loss mse --output-activation identity");
  }

  [[nodiscard]] Voice voice() const {
    return json ? Voice::json : quiet ? Voice::quiet : Voice::human;
  }

  /// Checks all that can be checked without the data.
  void resolve(const Options& all) {
    if (json && quiet)
      throw UsageError("--json and --quiet contradict each other, give one of them");
    options.resolve(all);
    if (is_named_dataset(data.data) && !test_data.empty()) {
      throw UsageError(
          fmt::format("--test-data goes with a path, but {} brings its own test rows", data.data));
    }
  }

  [[nodiscard]] std::string default_folder_name() const {
    const std::string name =
        is_named_dataset(data.data) ? data.data : std::filesystem::path(data.data).stem().string();
    return fmt::format("{}-{}", name.empty() ? "data" : name, options.short_name());
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

report::Report make_report(const TrainCommand& command, const ModelSpec& spec, const Rows& rows,
                           const TrainResult& result, const DeviceInfo& device) {
  const TrainOptions& options = command.options.training;
  report::Report report;
  report.title = fmt::format("{} · {}", command.data.data, shapes_through(spec));
  report.data = fmt::format(
      "{} training rows{} of {}", format_count(rows.training.rows()),
      rows.test ? fmt::format(" and {} test rows", format_count(rows.test->rows())) : std::string(),
      to_string(rows.training.row_shape()));
  report.loss_name = loss_name(options, spec);
  report.epochs = result.epochs;
  report.interrupted = result.interrupted;
  report.seconds = result.seconds;
  report.configuration = {
      {"encoder", to_string(spec.encoder)},
      {"decoder", to_string(spec.decoder)},
      {"parameters", format_count(spec.parameter_count())},
      {"loss", loss_name(options, spec)},
      {"optimizer", std::string(to_string(options.optimizer.kind))},
      {"learning rate", learning_rate(options)},
      {"batch size", format_count(options.batch_size)},
      {"epochs", format_count(options.epochs)},
      {"seed", std::to_string(options.seed)},
  };
  if (options.noise.kind != Noise::none) {
    report.configuration.emplace_back(
        "noise", fmt::format("{}, {:g}", to_string(options.noise.kind), options.noise.amount));
  }
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
  command.resolve(options);
  const Voice voice = command.voice();
  TrainOptions& training = command.options.training;
  const DeviceInfo device = resolve_device(training.device);

  const Rows rows = load_rows(command);
  const ModelSpec spec = command.options.model(rows.training.row_shape());
  // Before there is anything on disk.
  require_trainable(spec, rows.training, rows.test ? &*rows.test : nullptr, training);
  if (command.out.empty()) command.out = RunFolder::unused(command.default_folder_name());
  RunFolder folder(command.out);
  folder.write_config(options.to_toml());

  if (voice == Voice::human) {
    print(fmt::format("{} on {}: {}\n{} rows, {} epochs, batch {}, seed {} → {}\n",
                      shapes_through(spec), device.name, device.description,
                      format_count(rows.training.rows()), training.epochs, training.batch_size,
                      training.seed, command.out.string()));
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

  Activity activity(voice);
  EvaluationResult test{.loss = kNone, .reconstruction = kNone, .kl = kNone};
  if (rows.test && (result.epochs.empty() || result.interrupted)) {
    activity.start("evaluating the test rows");
    test = evaluate(model, *rows.test, evaluation_options(training), training.device);
  } else if (rows.test) {  // the last epoch ended with this very evaluation
    const EpochResult& last = result.epochs.back();
    test = {.loss = last.validation_loss,
            .reconstruction = last.validation_reconstruction,
            .kl = last.validation_kl};
  }
  activity.stop();
  if (!std::isnan(test.loss)) model.training["test_loss"] = fmt::format("{:.9g}", test.loss);
  if (!std::isnan(test.kl)) model.training["test_kl"] = fmt::format("{:.9g}", test.kl);
  save_model(model, folder.model());
  if (voice == Voice::human && result.interrupted) {
    print(fmt::format("interrupted after {} finished epochs; the model as it is: {}\n",
                      result.epochs.size(), folder.model().string()));
  }

  const Dataset& shown = rows.test ? *rows.test : rows.training;
  report::Report report = make_report(command, spec, rows, result, device);
  report.test_loss = test.loss;
  const bool has_picture = report::image_extents(spec.input_shape).has_value();
  if (has_picture) {
    activity.start("reconstructing rows for the picture");
    // Of a denoising model, what it is given: the noisy rows.
    Dataset originals = picture_rows(shown);
    if (training.noise.kind != Noise::none) {
      originals = corrupt(originals, training.noise, training.device);
    }
    report.reconstructions = report::reconstruction_grid(
        spec.input_shape, originals.floats(), reconstruct(model, originals, training.device),
        kPictureColumns, kPictureScale);
    report::write_png(*report.reconstructions, folder.picture());
  }
  if (!command.no_report) {
    // What a bound is worth cannot be read off baselines of reconstructions.
    if (rows.test && !spec.is_variational()) {
      activity.start("computing the report's baselines: mean image and PCA");
      report.baselines =
          report::compute_baselines(rows.training, *rows.test, training.loss, training.reduction,
                                    static_cast<int>(spec.latent()), command.data.directory());
    }
    if (rows.test) {
      activity.start("computing the squared error of the test rows");
      report.test_squared_error_per_row =
          evaluate(model, *rows.test,
                   {.loss = Loss::mse, .reduction = Reduction::sum, .noise = training.noise},
                   training.device)
              .reconstruction;
    }
    activity.start("writing the report");
    report::write_report(report, folder.report());
  }

  CodeStatistics codes;
  if (voice != Voice::quiet) {
    activity.start("describing the codes");
    codes = describe_codes(encode(model, shown, training.device), spec.latent());
  }
  activity.stop();
  const double train_loss = result.epochs.empty() ? kNone : result.epochs.back().train_loss;
  if (voice == Voice::json) {
    print_json({{"event", "done"},
                {"device", result.device},
                {"epochs", result.epochs.size()},
                {"train_loss", train_loss},
                {"test_loss", test.loss},
                {"test_reconstruction", test.reconstruction},
                {"test_kl", test.kl},
                {"mean_activation", codes.mean_activation},
                {"active_units", codes.active_units},
                {"seconds", result.seconds},
                {"parameters", spec.parameter_count()},
                {"model", folder.model().string()},
                {"interrupted", result.interrupted}});
  } else if (voice == Voice::human) {
    std::string summary =
        rows.test ? fmt::format("test loss {:.5f} ({})", test.loss, loss_name(training, spec))
                  : fmt::format("train loss {:.5f} ({})", train_loss, loss_name(training, spec));
    summary += fmt::format(", {} epochs in {:.1f} s\n", result.epochs.size(), result.seconds);
    if (!std::isnan(test.kl)) {
      summary += fmt::format("reconstruction {:.5f}, KL {:.3f} nats a sample\n",
                             test.reconstruction, test.kl);
    }
    if (report.baselines) {
      summary += fmt::format("floor {}, mean image {}: {:.1f} % of that gap closed\n",
                             format_loss(report.baselines->floor),
                             format_loss(report.baselines->mean_image),
                             100 * report::closed_gap(*report.baselines, test.loss));
    }
    summary +=
        fmt::format("code     {} of {} units active, mean activation {:.4g}, {:.1f} % zeros\n",
                    codes.active_units, spec.latent(), codes.mean_activation, 100 * codes.zeros);
    summary += fmt::format("model    {}\n", folder.model().string());
    if (has_picture) summary += fmt::format("picture  {}\n", folder.picture().string());
    if (!command.no_report) summary += fmt::format("report   {}\n", folder.report().string());
    print(summary);
  }
  return result.interrupted ? kInterrupted : 0;
}

}  // namespace ae::cli
