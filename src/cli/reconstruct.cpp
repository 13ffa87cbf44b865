#include <filesystem>
#include <span>
#include <utility>
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
#include "report/html.hpp"

namespace ae::cli {

namespace {

/// All rows as floats.
Dataset as_floats(const Dataset& data) {
  const auto size = static_cast<std::size_t>(data.row_size());
  std::vector<float> values(static_cast<std::size_t>(data.rows()) * size);
  for (std::int64_t i = 0; i < data.rows(); ++i) {
    data.copy_row(i, std::span(values).subspan(static_cast<std::size_t>(i) * size, size));
  }
  return {data.source(), data.row_shape(), std::move(values)};
}

}  // namespace

int run_reconstruct(const Arguments& arguments) {
  std::filesystem::path model_path;
  ModelDataOptions data;
  DeviceOptions device;
  std::filesystem::path out = "reconstructions.png";
  std::int64_t first = 0;
  std::int64_t count = 20;
  int columns = 0;
  bool json = false;

  Options options("reconstruct MODEL [options]",
                  "Originals above their reconstructions as a picture, or only the outputs.");
  options.add_argument("MODEL", model_path, "a model.safetensors that ae train wrote");
  data.add_to(options);
  options.add("first", first, "N", "begin at this row");
  options.add("count", count, "N", "this many rows");
  options.group("Running");
  add_device_options(options, device);
  options.group("Output");
  options.add("out", out, "FILE", formats::sample_formats_text(/*pictures=*/true));
  options.add("columns", columns, "N", "pairs a line; 0 makes a picture square");
  options.add_flag("json", json, "one JSON object on stdout");
  options.add_example("ae reconstruct runs/mnist-32/model.safetensors --out digits.png");
  options.add_example("ae reconstruct model.safetensors --data new.npy --count 1000 --out out.npy");
  if (!options.parse(arguments)) return 0;
  formats::require_columns(columns);
  if (first < 0 || count < 1) {
    throw UsageError(
        fmt::format("--first is {} and --count {}, they must be at least 0 and 1", first, count));
  }
  const formats::SampleFormat& format = formats::sample_format_of("--out", out, /*pictures=*/true);
  io::require_writable(out);

  const Model model = load_model(model_path);
  const Dataset rows = data.load(options, model, first, count);
  if (rows.rows() == 0 && first > 0) {
    throw UsageError(
        fmt::format("--first is {}, but {} has rows 0 to {}", first, rows.source(), first - 1));
  }
  const Dataset originals = as_floats(rows);
  const std::vector<float> samples = reconstruct(model, originals, device);
  print_note(scale_note(model, rows));
  format.write(out, {.row_shape = model.spec.input_shape,
                     .values = samples,
                     .originals = originals.floats(),
                     .columns = columns});
  if (json) {
    print_json({{"event", "reconstruct"}, {"rows", originals.rows()}, {"out", out.string()}});
  } else {
    print(fmt::format("{} reconstructions  {}\n", report::format_count(originals.rows()),
                      out.string()));
  }
  return 0;
}

}  // namespace ae::cli
