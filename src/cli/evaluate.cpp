#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "ae/ae.hpp"

#include "cli/commands.hpp"
#include "cli/data_fit.hpp"
#include "cli/model_data.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "formats/samples_out.hpp"
#include "io/atomic_file.hpp"
#include "io/numbers.hpp"
#include "io/printable.hpp"
#include "report/html.hpp"

namespace ae::cli {

int run_evaluate(const Arguments& arguments) {
  std::filesystem::path model_path;
  ModelDataOptions data;
  std::string loss_name;
  std::string reduction_name;
  std::string noise_name;
  float noise_amount = 0;
  DeviceOptions device;
  std::filesystem::path per_row;
  bool json = false;

  Options options("evaluate MODEL [options]", "The loss of a model on a data set.");
  options.add_argument("MODEL", model_path, "a model.safetensors that ae train wrote");
  data.add_to(options);
  options.group("Loss");
  options.add("loss", loss_name, "NAME", "bce, mse, …; default what it was trained with");
  options.add("reduction", reduction_name, "NAME", "mean or sum; default what it was trained with");
  options.add("noise", noise_name, "NAME", "on the input; default what it was trained with");
  options.add("noise-amount", noise_amount, "X", "standard deviation, or probability");
  options.group("Running");
  add_device_options(options, device);
  options.group("Output");
  options.add("per-row", per_row, "FILE", "each row's own loss, to rank anomalies by");
  options.add_flag("json", json, "one JSON object on stdout");
  options.add_example("ae evaluate runs/mnist-32/model.safetensors");
  options.add_example("ae evaluate model.safetensors --data new.npy --per-row losses.npy");
  if (!options.parse(arguments)) return 0;
  const formats::SampleFormat* per_row_format = nullptr;
  if (!per_row.empty()) {
    per_row_format = &formats::sample_format_of("--per-row", per_row, /*pictures=*/false);
    io::require_writable(per_row);
  }
  const Model model = load_model(model_path);
  const auto trained_with = [&](const char* key, const std::string& given, const char* otherwise) {
    const auto found = model.training.find(key);
    if (!given.empty()) return given;
    return found != model.training.end() ? found->second : std::string(otherwise);
  };
  const auto number_of = [&](const char* key, float otherwise) {
    const auto found = model.training.find(key);
    if (found == model.training.end()) return otherwise;
    return io::require_float(fmt::format("{} in the record of {}", key, model_path.string()),
                             found->second);
  };
  EvaluationOptions wanted{
      .loss = parse_loss(trained_with("loss", loss_name, "bce")),
      .reduction = parse_reduction(trained_with("reduction", reduction_name, "mean")),
      .beta = number_of("beta", 1),
      .per_row = !per_row.empty()};
  wanted.noise.kind = parse_noise(trained_with("noise", noise_name, "none"));
  wanted.noise.amount = options.given("noise-amount") ? noise_amount : number_of("noise_amount", 0);
  Dataset rows = data.load(options, model);
  const std::string rounding_note = fit_to_loss(wanted.loss, rows);

  const EvaluationResult result = evaluate(model, rows, wanted, device);
  print_note(rounding_note);
  print_note(scale_note(model, rows));
  const CodeStatistics codes = describe_codes(encode(model, rows, device), model.spec.latent());
  if (!per_row.empty()) {
    const std::vector<float> values(result.row_losses.begin(), result.row_losses.end());
    per_row_format->write(per_row, {.row_shape = {}, .values = values});
  }
  if (json) {
    print_json({{"event", "evaluate"},
                {"loss", result.loss},
                {"reconstruction", result.reconstruction},
                {"kl", result.kl},
                {"loss_name", to_string(wanted.loss)},
                {"reduction", to_string(wanted.reduction)},
                {"noise", to_string(wanted.noise.kind)},
                {"noise_amount", wanted.noise.amount},
                {"mean_activation", codes.mean_activation},
                {"code_zeros", codes.zeros},
                {"active_units", codes.active_units},
                {"rows", rows.rows()},
                {"data", rows.source()},
                {"model", model_path.string()}});
  } else {
    std::string text = fmt::format(
        "loss {:.5f} ({}{}, {}) on {} rows of {}\n", result.loss, to_string(wanted.loss),
        model.spec.is_variational() ? fmt::format(" + {:g}·KL", wanted.beta) : "",
        wanted.reduction == Reduction::mean ? "mean over all elements"
                                            : "summed per sample, mean over samples",
        report::format_count(rows.rows()), io::printable(rows.source()));
    if (wanted.noise.kind != Noise::none) {
      text += fmt::format("noise on the input: {}, {:g}\n", to_string(wanted.noise.kind),
                          wanted.noise.amount);
    }
    if (model.spec.is_variational()) {
      text += fmt::format("reconstruction {:.5f}, KL {:.3f} nats a sample\n", result.reconstruction,
                          result.kl);
    }
    print(text + fmt::format("code: {} of {} units active, mean activation {:.4g}, {} zeros\n",
                             codes.active_units, model.spec.latent(), codes.mean_activation,
                             report::format_percent(codes.zeros)));
    if (!per_row.empty()) print(fmt::format("each row's loss  {}\n", per_row.string()));
  }
  return 0;
}

}  // namespace ae::cli
