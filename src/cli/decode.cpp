#include <filesystem>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "ae/ae.hpp"

#include "cli/commands.hpp"
#include "cli/model_data.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "formats/samples_out.hpp"
#include "io/atomic_file.hpp"
#include "report/html.hpp"

namespace ae::cli {

namespace {

/// Images that a picture has unless --limit says how many.
constexpr std::int64_t kMostDrawn = 400;

}  // namespace

int run_decode(const Arguments& arguments) {
  std::filesystem::path model_path;
  std::filesystem::path codes_path;
  DeviceOptions device;
  std::filesystem::path out = "decoded.npy";
  std::int64_t limit = 0;
  int columns = 0;
  bool json = false;

  Options options("decode MODEL CODES [options]",
                  "Turns latent codes into data, or a picture of them.");
  options.add_argument("MODEL", model_path, "a model.safetensors that ae train wrote");
  options.add_argument("CODES", codes_path, "a .npy of (rows, latent), as ae encode writes");
  options.group("Data");
  options.add("limit", limit, "N", "the first N codes; 0: all, in a picture 400");
  options.group("Running");
  add_device_options(options, device);
  options.group("Output");
  options.add("out", out, "FILE", formats::sample_formats_text(/*pictures=*/true));
  options.add("columns", columns, "N", "images a line; 0 makes a picture square");
  options.add_flag("json", json, "one JSON object on stdout");
  options.add_example("ae decode runs/mnist-32/model.safetensors codes.npy --out digits.npy");
  options.add_example("ae decode model.safetensors codes.npy --out digits.png --limit 100");
  if (!options.parse(arguments)) return 0;
  formats::require_columns(columns);
  const formats::SampleFormat& format = formats::sample_format_of("--out", out, /*pictures=*/true);
  io::require_writable(out);

  const Model model = load_model(model_path);
  Dataset codes = load_samples(codes_path, model.spec.code_shape(), 0, -1, limit);
  if (codes.rows() == 0) {
    throw Error(fmt::format("{} holds no codes, give at least one", codes.source()));
  }
  const std::int64_t all = codes.rows();
  if (format.holds == formats::Holds::pictures && limit == 0) codes = codes.first(kMostDrawn);
  const std::vector<float> samples = decode(model, codes, device);
  format.write(out, {.row_shape = model.spec.input_shape, .values = samples, .columns = columns});
  if (json) {
    print_json({{"event", "decode"}, {"rows", codes.rows()}, {"out", out.string()}});
  } else {
    print(fmt::format("{} samples of {}  {}\n", report::format_count(codes.rows()),
                      to_string(model.spec.input_shape), out.string()));
    if (codes.rows() < all) {
      print(fmt::format("these are the first of {}, --limit draws another number of them\n",
                        report::format_count(all)));
    }
  }
  return 0;
}

}  // namespace ae::cli
