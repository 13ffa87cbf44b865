#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "ae/ae.hpp"

#include "cli/commands.hpp"
#include "cli/data_fit.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "cli/training_options.hpp"
#include "report/html.hpp"
#include "training_bench.hpp"

namespace ae::cli {

namespace {

using report::format_fixed;
using report::format_percent;

/// Rows like MNIST's in number, size and share of zeros, where MNIST itself is not at hand.
Dataset synthetic_rows() {
  constexpr std::int64_t kRows = 60000;
  constexpr std::int64_t kRowSize = 784;
  constexpr std::uint64_t kOneInFive = 5;
  std::vector<std::uint8_t> values(static_cast<std::size_t>(kRows * kRowSize));
  std::uint64_t state = 1;
  for (std::uint8_t& value : values) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    const std::uint64_t random = state >> 33U;
    if (random % kOneInFive == 0) value = static_cast<std::uint8_t>(random >> 8U);
  }
  return {"synthetic rows", {28, 28}, std::move(values)};
}

Dataset bench_rows(const Options& options, const DataOptions& data) {
  const std::int64_t most = most_rows(data.limit);
  if (!is_named_dataset(data.data)) return load_dataset(data.data, 0, most);
  try {
    return load_named(data.data, Split::train, data.directory(), 0, most);
  } catch (const UsageError&) {
    throw;
  } catch (const Error&) {
    if (options.given("data")) throw;
    return most < 0 ? synthetic_rows() : synthetic_rows().first(most);
  }
}

/// What an epoch takes with the other of two libraries.
std::string other_library_line(std::string_view option, const OtherLibrary& library,
                               double epoch_seconds) {
  if (library.ours.empty()) return "";
  return fmt::format(
      "an epoch with --{0} {1}: {2:.4f} s; with --{0} {3}, timed in turn: {4:.4f} s ({5} "
      "times)\n",
      option, library.ours, epoch_seconds, library.other, library.other_epoch_seconds,
      format_fixed(library.other_epoch_seconds / epoch_seconds, 2));
}

/// A GPU's own comparisons, as lines below the table of stages.
std::string variant_table(const BenchResult& result) {
  std::string text = "\n";
  text += other_library_line("gemm", result.gemm, result.epoch_seconds);
  text += other_library_line("convolution", result.convolution, result.epoch_seconds);
  std::string work;
  double ours = 0;
  for (const VariantTime& variant : result.variants) {
    if (variant.work != work) {
      work = variant.work;
      text += fmt::format("\n{:<50}{:>9}{:>19}{:>9}\n", work, "µs", "from – to", "× ours");
    }
    if (variant.is_ours) ours = variant.seconds;
    text += fmt::format("  {:<48}{:>8.2f}{:>10.2f} – {:<6.2f}{:>9}\n", variant.variant,
                        variant.seconds * 1e6, variant.seconds_min * 1e6, variant.seconds_max * 1e6,
                        format_fixed(variant.seconds / ours, 2));
  }
  return text;
}

void print_table(const BenchResult& result, const Dataset& data, const std::string& widths) {
  std::string text = fmt::format("{} on {}, batch {}, {} steps an epoch, {} ({} rows)\n\n", widths,
                                 result.device, result.batch_size, result.steps_per_epoch,
                                 data.source(), report::format_count(data.rows()));
  text += fmt::format("{:<22}{:>10}{:>9}{:>11}\n", "stage", "µs a step", "share", "GFLOP/s");
  double gemm_seconds = 0;
  double gflop = 0;
  for (const StageTime& stage : result.stages) {
    if (stage.gflop > 0) {
      gemm_seconds += stage.seconds;
      gflop += stage.gflop;
    }
    text += fmt::format("{:<22}{:>9.1f}{:>10}{:>10}\n", stage.stage, stage.seconds * 1e6,
                        format_percent(stage.seconds / result.step_seconds),
                        stage.gflop > 0 ? format_fixed(stage.gflop / stage.seconds, 1) : "");
  }
  text += fmt::format("{:<22}{:>9.1f}{}\n\n", "all stages", result.step_seconds * 1e6,
                      result.variants.empty() ? "" : "   each alone, repeated, operands in cache");
  text += fmt::format(
      "an epoch, run as training runs it: {:.4f} s (median of epochs from {:.4f} to {:.4f})\n",
      result.epoch_seconds, result.epoch_seconds_min, result.epoch_seconds_max);
  if (result.gemm_peak_gflops > 0 && gemm_seconds > 0) {
    const double whole = gflop * static_cast<double>(data.rows()) /
                         static_cast<double>(result.batch_size) / result.epoch_seconds;
    text += fmt::format(
        "GEMM reaches {} GFLOP/s here; the stages with GEMMs run at {} of that, the whole epoch at "
        "{}\n(products with zeros count as done, also where they are skipped)\n",
        format_fixed(result.gemm_peak_gflops, 1),
        format_percent(gflop / gemm_seconds / result.gemm_peak_gflops, 0),
        format_percent(whole / result.gemm_peak_gflops, 0));
  }
  if (!result.variants.empty()) text += variant_table(result);
  print(text);
}

}  // namespace

int run_bench(const Arguments& arguments) {
  DataOptions data;
  TrainingOptions training;
  int repeats = 5;
  bool json = false;

  Options options("bench [options]", "Times the training step on a device, stage by stage.");
  options.group("Data");
  data.add_to(options);
  training.add_to(options);
  options.group("Running");
  options.add("repeats", repeats, "N", "epochs to time");
  add_device_options(options, training.training.device);
  options.group("Output");
  options.add_flag("json", json, "one JSON object on stdout");
  options.add_recipes();
  options.add_example("ae bench");
  options.add_example("ae bench --recipe conv --threads 1 --json");
  if (!options.parse(arguments)) return 0;
  if (repeats < 1 || repeats > 1000) {
    throw UsageError(fmt::format("--repeats is {}, it must be 1 to 1000", repeats));
  }
  training.resolve(options);

  Dataset rows = bench_rows(options, data);
  const std::vector<std::string> notes = fit_to_data(training, rows);
  const ModelSpec spec = model_for(training, rows);
  const BenchResult result = bench_training(spec, rows, training.training, repeats);
  for (const std::string& note : notes) print_note(note);
  if (json) {
    nlohmann::ordered_json stages = nlohmann::ordered_json::array();
    for (const StageTime& stage : result.stages) {
      stages.push_back(
          {{"stage", stage.stage}, {"seconds", stage.seconds}, {"gflop", stage.gflop}});
    }
    nlohmann::ordered_json variants = nlohmann::ordered_json::array();
    for (const VariantTime& variant : result.variants) {
      variants.push_back({{"work", variant.work},
                          {"variant", variant.variant},
                          {"ours", variant.is_ours},
                          {"seconds", variant.seconds},
                          {"seconds_min", variant.seconds_min},
                          {"seconds_max", variant.seconds_max}});
    }
    print_json({{"event", "bench"},
                {"device", result.device},
                {"data", rows.source()},
                {"rows", rows.rows()},
                {"encoder", to_string(spec.encoder)},
                {"decoder", to_string(spec.decoder)},
                {"batch_size", result.batch_size},
                {"steps_per_epoch", result.steps_per_epoch},
                {"step_seconds", result.step_seconds},
                {"epoch_seconds", result.epoch_seconds},
                {"epoch_seconds_min", result.epoch_seconds_min},
                {"epoch_seconds_max", result.epoch_seconds_max},
                {"gemm_peak_gflops", result.gemm_peak_gflops},
                {"stages", stages},
                {"gemm", result.gemm.ours},
                {"other_gemm", result.gemm.other},
                {"other_gemm_epoch_seconds", result.gemm.other_epoch_seconds},
                {"convolution", result.convolution.ours},
                {"other_convolution", result.convolution.other},
                {"other_convolution_epoch_seconds", result.convolution.other_epoch_seconds},
                {"variants", variants}});
  } else {
    print_table(result, rows, shapes_through(spec));
  }
  return 0;
}

}  // namespace ae::cli
