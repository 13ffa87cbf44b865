#include <filesystem>
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

int run_encode(const Arguments& arguments) {
  std::filesystem::path model_path;
  ModelDataOptions data;
  DeviceOptions device;
  std::filesystem::path out = "codes.npy";
  bool json = false;

  Options options("encode MODEL [options]",
                  "Turns data into latent codes, an array of (rows, latent).");
  options.add_argument("MODEL", model_path, "a model.safetensors that ae train wrote");
  data.add_to(options);
  options.group("Running");
  add_device_options(options, device);
  options.group("Output");
  options.add("out", out, "FILE", formats::sample_formats_text(/*pictures=*/false));
  options.add_flag("json", json, "one JSON object on stdout");
  options.add_example("ae encode runs/mnist-32/model.safetensors --out codes.npy");
  options.add_example("ae encode model.safetensors --data photos.npy --out photos-codes.npy");
  if (!options.parse(arguments)) return 0;
  const formats::SampleFormat& format = formats::sample_format_of("--out", out, /*pictures=*/false);

  io::require_writable(out);
  const Model model = load_model(model_path);
  const Dataset rows = data.load(options, model);
  const std::vector<float> codes = encode(model, rows, device);
  print_note(scale_note(model, rows));
  format.write(out, {.row_shape = {model.spec.latent()}, .values = codes});
  if (json) {
    print_json({{"event", "encode"},
                {"rows", rows.rows()},
                {"latent", model.spec.latent()},
                {"out", out.string()}});
  } else {
    print(fmt::format("{} codes of {} numbers  {}\n", report::format_count(rows.rows()),
                      model.spec.latent(), out.string()));
  }
  return 0;
}

}  // namespace ae::cli
