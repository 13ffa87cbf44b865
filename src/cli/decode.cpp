#include <filesystem>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "ae/ae.hpp"

#include "cli/commands.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "cli/samples_file.hpp"
#include "io/atomic_file.hpp"
#include "report/html.hpp"
#include "report/image_grid.hpp"

namespace ae::cli {

int run_decode(const Arguments& arguments) {
  std::filesystem::path model_path;
  std::filesystem::path codes_path;
  DeviceOptions device;
  std::filesystem::path out = "decoded.npy";
  std::int64_t limit = 0;
  int columns = 10;
  bool json = false;

  Options options("decode MODEL CODES [options]",
                  "Turns latent codes into data, or a picture of them.");
  options.add_argument("MODEL", model_path, "a model.safetensors that ae train wrote");
  options.add_argument("CODES", codes_path, "a .npy of (rows, latent), as ae encode writes");
  options.group("Data");
  options.add("limit", limit, "N", "use the first N codes; 0 takes all");
  options.group("Running");
  add_device_options(options, device);
  options.group("Output");
  options.add("out", out, "FILE", "an array (.npy), or a grid of images (.png)");
  options.add("columns", columns, "N", "images a line, in a picture");
  options.add_flag("json", json, "one JSON object on stdout");
  options.add_example("ae decode runs/mnist-32/model.safetensors codes.npy --out digits.npy");
  options.add_example("ae decode model.safetensors codes.npy --out digits.png --limit 100");
  if (!options.parse(arguments)) return 0;
  const bool picture = is_picture(out);
  io::require_writable(out);

  const Model model = load_model(model_path);
  const Dataset codes = limited(load_dataset(codes_path), limit);
  const std::vector<float> samples = decode(model, codes, device);
  if (picture) {
    report::write_png(report::image_grid(model.spec.input_shape, samples, columns), out);
  } else {
    write_samples(out, model.spec.input_shape, samples);
  }
  if (json) {
    print_json({{"event", "decode"}, {"rows", codes.rows()}, {"out", out.string()}});
  } else {
    print(fmt::format("{} samples of {}  {}\n", report::format_count(codes.rows()),
                      to_string(model.spec.input_shape), out.string()));
  }
  return 0;
}

}  // namespace ae::cli
