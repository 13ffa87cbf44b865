#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "ae/ae.hpp"

#include "cli/commands.hpp"
#include "cli/model_data.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "io/npy.hpp"
#include "report/html.hpp"

namespace ae::cli {

int run_evaluate(const Arguments& arguments) {
  std::filesystem::path model_path;
  ModelDataOptions data;
  std::string loss_name;
  std::string reduction_name;
  DeviceOptions device;
  std::filesystem::path per_row;
  bool json = false;

  Options options("evaluate MODEL [options]", "The loss of a model on a data set.");
  options.add_argument("MODEL", model_path, "a model.safetensors that ae train wrote");
  data.add_to(options);
  options.group("Loss");
  options.add("loss", loss_name, "NAME", "bce or mse; default what it was trained with");
  options.add("reduction", reduction_name, "NAME", "mean or sum; default what it was trained with");
  options.group("Running");
  add_device_options(options, device);
  options.group("Output");
  options.add("per-row", per_row, "FILE",
              "each row's own loss, as .npy: what to rank anomalies by");
  options.add_flag("json", json, "one JSON object on stdout");
  options.add_example("ae evaluate runs/mnist-32/model.safetensors");
  options.add_example("ae evaluate model.safetensors --data new.npy --per-row losses.npy");
  if (!options.parse(arguments)) return 0;

  const Model model = load_model(model_path);
  const auto trained_with = [&](const char* key, const std::string& given, const char* otherwise) {
    const auto found = model.training.find(key);
    if (!given.empty()) return given;
    return found != model.training.end() ? found->second : std::string(otherwise);
  };
  const Loss loss = parse_loss(trained_with("loss", loss_name, "bce"));
  const Reduction reduction = parse_reduction(trained_with("reduction", reduction_name, "mean"));
  const Dataset rows = data.load(options, model);

  const std::vector<double> losses = evaluate_rows(model, rows, loss, reduction, device);
  const double mean =
      std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(losses.size());
  if (!per_row.empty()) {
    const std::vector<float> values(losses.begin(), losses.end());
    io::write_npy(per_row, values, {static_cast<std::int64_t>(values.size())});
  }
  if (json) {
    print_json({{"event", "evaluate"},
                {"loss", mean},
                {"loss_name", to_string(loss)},
                {"reduction", to_string(reduction)},
                {"rows", rows.rows()},
                {"data", rows.source()},
                {"model", model_path.string()}});
  } else {
    print(fmt::format("loss {:.5f} ({}, {}) on {} rows of {}\n", mean, to_string(loss),
                      reduction == Reduction::mean ? "mean over all elements"
                                                   : "summed per sample, mean over samples",
                      report::format_count(rows.rows()), rows.source()));
    if (!per_row.empty()) print(fmt::format("each row's loss  {}\n", per_row.string()));
  }
  return 0;
}

}  // namespace ae::cli
