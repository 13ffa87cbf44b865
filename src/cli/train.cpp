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
#include "cli/claimed_folder.hpp"
#include "cli/commands.hpp"
#include "cli/data_fit.hpp"
#include "cli/interrupt.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "cli/progress.hpp"
#include "cli/run_folder.hpp"
#include "cli/side_work.hpp"
#include "cli/train_summary.hpp"
#include "cli/training_options.hpp"
#include "formulas/normal.hpp"
#include "io/utf8.hpp"
#include "report/html.hpp"
#include "report/report.hpp"

namespace ae::cli {

namespace {

using report::format_count;

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

  [[nodiscard]] ClaimedFolder claim_folder() const {
    return out.empty() ? ClaimedFolder::unused(default_folder_name()) : ClaimedFolder(out);
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
  const std::int64_t most = most_rows(data.limit);
  if (is_named_dataset(data.data)) {
    TrainTest named = load_named(data.data, data.directory(), most);
    rows.training = std::move(named.train);
    rows.test = std::move(named.test);
  } else {
    rows.training = load_dataset(data.data, 0, most);
    if (!command.test_data.empty()) rows.test = load_dataset(command.test_data, 0, most);
  }
  if (rows.training.row_size() == 1) {
    throw Error(
        fmt::format("{} has one value a row, which looks like labels, not like samples to "
                    "reconstruct; give the file with the samples",
                    rows.training.source()));
  }
  return rows;
}

/// Notes in the model what the test rows say of it.
void record_test(const EvaluationResult& test, Model& model) {
  if (!std::isnan(test.loss)) model.training["test_loss"] = fmt::format("{:.9g}", test.loss);
  if (!std::isnan(test.kl)) model.training["test_kl"] = fmt::format("{:.9g}", test.kl);
}

/// The parts of a variational model's loss: of the test rows, else of the last epoch's training.
std::optional<report::VariationalParts> variational_parts(const TrainOptions& options,
                                                          const ModelSpec& spec,
                                                          const TrainResult& result,
                                                          const EvaluationResult& test) {
  if (!spec.is_variational()) return std::nullopt;
  report::VariationalParts parts{.reconstruction = test.reconstruction,
                                 .kl = test.kl,
                                 .beta = static_cast<double>(options.variational.beta),
                                 .is_mean = options.reduction == Reduction::mean};
  if (std::isnan(test.loss)) {
    if (result.epochs.empty()) return std::nullopt;
    const EpochResult& last = result.epochs.back();
    const double divisor = parts.is_mean ? static_cast<double>(spec.inputs()) : 1;
    parts.kl = last.train_kl;
    parts.reconstruction = last.train_loss - parts.beta * last.train_kl / divisor;
  }
  return parts;
}

report::Report make_report(const TrainCommand& command, const ModelSpec& spec, const Rows& rows,
                           const TrainResult& result, const EvaluationResult& test,
                           const DeviceInfo& device) {
  const TrainOptions& options = command.options.training;
  report::Report report;
  report.title = fmt::format("{} · {}", command.data.data, shapes_through(spec));
  report.data = fmt::format(
      "{} training rows{} of {}", format_count(rows.training.rows()),
      rows.test ? fmt::format(" and {} test rows", format_count(rows.test->rows())) : std::string(),
      to_string(rows.training.row_shape()));
  report.loss_name = loss_name(options, spec);
  report.test_loss = test.loss;
  report.row_size = rows.training.row_size();
  report.variational = variational_parts(options, spec, result, test);
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
  if (spec.is_variational()) {
    const VariationalOptions& variational = options.variational;
    report.configuration.emplace_back("β", fmt::format("{:g}", variational.beta));
    if (variational.warm_up_epochs > 0) {
      report.configuration.emplace_back(
          "", fmt::format("from 0 over {:g} epochs", variational.warm_up_epochs));
    }
    if (variational.free_bits > 0) {
      report.configuration.emplace_back("free bits",
                                        fmt::format("{:g} nats a unit", variational.free_bits));
    }
  }
  if (options.sparsity.l1 > 0) {
    report.configuration.emplace_back("penalty",
                                      fmt::format("{:g} · Σ|code|", options.sparsity.l1));
  }
  if (options.sparsity.kl > 0) {
    report.configuration.emplace_back(options.sparsity.l1 > 0 ? "" : "penalty",
                                      fmt::format("{:g} · KL({:g} ‖ mean activation)",
                                                  options.sparsity.kl, options.sparsity.rho));
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
    data.copy_row(i * data.rows() / count,
                  std::span(values).subspan(static_cast<std::size_t>(i * data.row_size()),
                                            static_cast<std::size_t>(data.row_size())));
  }
  return {data.source(), data.row_shape(), std::move(values)};
}

/// Codes from a variational model's prior, independent normal numbers; the same for a seed.
Dataset prior_codes(std::int64_t latent, std::uint64_t seed) {
  const RandomStream stream(seed, RandomPurpose::code, 0);
  std::vector<float> values(static_cast<std::size_t>(kPicturePairs * latent));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = normal_at(stream, i);
  return {"the prior", {latent}, std::move(values)};
}

/// All that a training came to.
struct Outcome {
  TrainResult result;
  EvaluationResult test{.loss = kNone, .reconstruction = kNone, .kl = kNone};
  bool has_picture = false;
  bool has_report = false;
  CodeStatistics codes;
};

/// The first lines.
void announce(const TrainCommand& command, const DeviceInfo& device, const Rows& rows,
              const ModelSpec& spec) {
  const TrainOptions& training = command.options.training;
  print(fmt::format(
      "{} on {}: {}\n{} rows, {} epoch{}, batch {}, seed {} → {}\n", shapes_through(spec),
      device.name, device.description, format_count(rows.training.rows()), training.epochs,
      training.epochs == 1 ? "" : "s", training.batch_size, training.seed, command.out.string()));
  if (training.device.device == "auto" && device.name == "cpu") {
    for (const DeviceInfo& other : list_devices()) {
      if (!other.usable) print(fmt::format("not on {}: {}\n", other.name, other.why_not));
    }
  }
}

/// Trains to the end or until a signal comes, and tells of each epoch.
TrainResult run_training(const TrainCommand& command, const Rows& rows, Model& model,
                         RunFolder& folder, Interrupts& interrupts, SideWork& side_work) {
  TrainOptions training = command.options.training;
  const bool moves = training.schedule.kind != Schedule::constant || training.schedule.warm_up > 0;
  Progress progress(command.voice(), training.epochs,
                    moves ? Progress::Rate::shown : Progress::Rate::hidden);
  training.stop_requested = [&] { return interrupts.count() > 0; };
  training.on_epoch = [&](const EpochResult& epoch) {
    side_work.attempt([&] { folder.add_metrics(epoch); });
    side_work.attempt([&] { progress.show(epoch); });
  };
  if (progress.is_live()) {
    training.on_progress = [&](const StepProgress& step) {
      side_work.attempt([&] { progress.show(step); });
    };
  }
  TrainResult result = train(model, rows.training, rows.test ? &*rows.test : nullptr, training);
  side_work.attempt([&] { progress.clear(); });
  return result;
}

/// Reconstructs some rows: drawn as a picture if they are images, which is written, else as lines.
void add_reconstructions(const TrainCommand& command, const Model& model, const Dataset& shown,
                         const RunFolder& folder, report::Report& report) {
  const TrainOptions& training = command.options.training;
  const Shape& shape = model.spec.input_shape;
  // Of a denoising model, what it is given: the noisy rows.
  Dataset originals = picture_rows(shown);
  if (training.noise.kind != Noise::none) {
    originals = corrupt(originals, training.noise, training.device);
  }
  std::vector<float> outputs = reconstruct(model, originals, training.device);
  if (report::is_image(shape)) {
    report.reconstructions = report::reconstruction_grid(shape, originals.floats(), outputs,
                                                         kPictureColumns, kPictureScale);
    report::write_png(*report.reconstructions, folder.picture());
  } else {
    const std::span<const float> values = originals.floats();
    report.row_lines =
        report::DrawnRows{model.spec.inputs(), {values.begin(), values.end()}, std::move(outputs)};
  }
}

/// Decodes draws from a variational model's prior.
void add_samples(const TrainCommand& command, const Model& model, report::Report& report) {
  const TrainOptions& training = command.options.training;
  const ModelSpec& spec = model.spec;
  std::vector<float> samples =
      decode(model, prior_codes(spec.latent(), training.seed), training.device);
  if (report::is_image(spec.input_shape)) {
    report.samples = report::image_grid(spec.input_shape, samples, kPictureColumns, kPictureScale);
  } else {
    report.sample_lines = report::DrawnRows{spec.inputs(), std::move(samples), {}};
  }
}

/// Adds what the report compares the model with, and writes it.
void finish_report(const TrainCommand& command, const Rows& rows, const Model& model,
                   const RunFolder& folder, Activity& activity, report::Report& report) {
  const TrainOptions& training = command.options.training;
  if (model.spec.is_variational()) {
    activity.start("decoding draws from the prior");
    add_samples(command, model, report);
  }
  // What a bound is worth cannot be read off baselines of reconstructions.
  if (rows.test && !model.spec.is_variational()) {
    activity.start("computing the report's baselines: mean image and PCA");
    report.baselines =
        report::compute_baselines(rows.training, *rows.test, training.loss, training.reduction,
                                  static_cast<int>(model.spec.latent()), command.data.directory());
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

/// The last lines.
void print_outcome(const TrainCommand& command, const ModelSpec& spec, const Outcome& outcome,
                   const report::Report& report, const RunFolder& folder) {
  const TrainResult& result = outcome.result;
  const EvaluationResult& test = outcome.test;
  const CodeStatistics& codes = outcome.codes;
  const double train_loss = result.epochs.empty() ? kNone : result.epochs.back().train_loss;
  if (command.voice() == Voice::json) {
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
  } else if (command.voice() == Voice::human) {
    std::string summary = train_summary(report, outcome.codes, spec.latent());
    summary += fmt::format("model    {}\n", folder.model().string());
    if (outcome.has_picture) summary += fmt::format("picture  {}\n", folder.picture().string());
    if (!report::is_image(spec.input_shape) && outcome.has_report) {
      summary += "picture  none: these rows are no images, the report has them as lines\n";
    }
    if (outcome.has_report) summary += fmt::format("report   {}\n", folder.report().string());
    print(summary);
  }
}

/// What follows once the model is safe: the test rows of a training that was interrupted, the
/// picture, the report, the last lines.
void describe(const TrainCommand& command, const DeviceInfo& device, const Rows& rows, Model& model,
              Outcome& outcome, RunFolder& folder, SideWork& side_work) {
  const TrainOptions& training = command.options.training;
  const ModelSpec& spec = model.spec;
  Activity activity(command.voice());
  if (rows.test && std::isnan(outcome.test.loss)) {
    side_work.attempt([&] {
      activity.start("evaluating the test rows");
      outcome.test = evaluate(model, *rows.test, evaluation_options(training), training.device);
      record_test(outcome.test, model);
      folder.save(model);
    });
    side_work.attempt([&] { activity.stop(); });
  }
  if (command.voice() == Voice::human && outcome.result.interrupted) {
    side_work.attempt([&] {
      print(fmt::format("interrupted after {} finished epochs; the model as it is: {}\n",
                        outcome.result.epochs.size(), folder.model().string()));
    });
  }
  const Dataset& shown = rows.test ? *rows.test : rows.training;
  report::Report report = make_report(command, spec, rows, outcome.result, outcome.test, device);
  const bool is_image = report::is_image(spec.input_shape);
  if (is_image || !command.no_report) {
    side_work.attempt([&] {
      activity.start("reconstructing rows for the picture");
      add_reconstructions(command, model, shown, folder, report);
      outcome.has_picture = is_image;
    });
  }
  if (!command.no_report) {
    side_work.attempt([&] {
      finish_report(command, rows, model, folder, activity, report);
      outcome.has_report = true;
    });
  }
  side_work.attempt([&] {
    if (command.voice() != Voice::quiet) {
      activity.start("describing the codes");
      outcome.codes = describe_codes(encode(model, shown, training.device), spec.latent());
    }
    activity.stop();
    print_outcome(command, spec, outcome, report, folder);
  });
}

/// The last epoch's validation, if there was one and no step came after it.
EvaluationResult last_validation(const TrainResult& result) {
  if (result.epochs.empty() || result.interrupted) {
    return {.loss = kNone, .reconstruction = kNone, .kl = kNone};
  }
  const EpochResult& last = result.epochs.back();
  return {.loss = last.validation_loss,
          .reconstruction = last.validation_reconstruction,
          .kl = last.validation_kl};
}

}  // namespace

int run_train(const Arguments& arguments) {
  TrainCommand command;
  Options options("train [options]", "Trains an autoencoder and writes a run folder.");
  command.add_to(options);
  if (!options.parse(arguments)) return 0;
  command.resolve(options);
  Interrupts interrupts;
  const TrainOptions& training = command.options.training;
  const DeviceInfo device = resolve_device(training.device);

  Rows rows = load_rows(command);
  const std::vector<std::string> notes =
      fit_to_data(command.options, rows.training, rows.test ? &*rows.test : nullptr);
  const ModelSpec spec = model_for(command.options, rows.training);
  // Before there is anything on disk.
  require_trainable(spec, rows.training, rows.test ? &*rows.test : nullptr, training);
  if (command.voice() != Voice::quiet) {
    for (const std::string& note : notes) print_note(note);
  }
  interrupts.hold();
  ClaimedFolder claimed = command.claim_folder();
  command.out = claimed.path();
  RunFolder folder(std::move(claimed),
                   static_cast<std::uint64_t>(spec.parameter_count()) * sizeof(float));
  folder.write_config(options.to_toml());

  SideWork side_work;
  if (command.voice() == Voice::human) {
    side_work.attempt([&] { announce(command, device, rows, spec); });
  }
  Model model = Model::initialize(spec, training.seed);
  Outcome outcome;
  outcome.result = run_training(command, rows, model, folder, interrupts, side_work);
  if (rows.test) outcome.test = last_validation(outcome.result);

  record_range(spec, rows.training, model.training);
  record_test(outcome.test, model);
  folder.save(model);
  const std::string saved = fmt::format("the model is saved: {}", folder.model().string());
  const Interrupts::LettingGo letting_go(interrupts, [&] {
    folder.release();
    if (command.voice() == Voice::human) print_note("interrupted, " + saved);
  });
  // A signal that did not end the training ends what comes after it.
  const bool is_cut_short = interrupts.count() > (outcome.result.interrupted ? 1 : 0);
  if (is_cut_short) {
    if (command.voice() == Voice::human) print_note("interrupted, " + saved);
  } else {
    describe(command, device, rows, model, outcome, folder, side_work);
  }
  if (!side_work.complaint().empty()) {
    const std::string complaint = fmt::format("{}; {}", side_work.complaint(), saved);
    if (interrupts.exit_code() == 0) throw Error(complaint);
    print_error(complaint);
  }
  return interrupts.exit_code();
}

}  // namespace ae::cli
