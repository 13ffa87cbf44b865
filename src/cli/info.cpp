#include <filesystem>
#include <string>

#include <dnnl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <png.h>
#include <zlib.h>

#include "ae/ae.hpp"

#include "cli/commands.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "device/cuda/cuda_device.hpp"
#include "io/printable.hpp"
#include "report/html.hpp"

namespace ae::cli {

namespace {

using OrderedJson = nlohmann::ordered_json;
using report::format_count;

void describe_model(const std::filesystem::path& path, bool json) {
  const Model model = load_model(path);
  const std::vector<LayerSpec> layers = model.spec.layers();
  const std::vector<LayerSlice> slices = layer_slices(model.spec);
  if (json) {
    OrderedJson list = OrderedJson::array();
    for (std::size_t i = 0; i < layers.size(); ++i) {
      list.push_back({{"name", slices[i].name},
                      {"layer", to_string(layers[i])},
                      {"inputs", slices[i].inputs},
                      {"units", slices[i].units},
                      {"output_shape", slices[i].output_shape},
                      {"parameters", slices[i].parameter_count()}});
    }
    print_json({{"event", "model"},
                {"model", path.string()},
                {"input_shape", model.spec.input_shape},
                {"latent", model.spec.latent()},
                {"parameters", model.spec.parameter_count()},
                {"layers", list},
                {"training", model.training}});
    return;
  }
  std::string text = fmt::format("{}\ninput {}, code of {} numbers, {} parameters\n\n",
                                 io::printable(path.string()), to_string(model.spec.input_shape),
                                 model.spec.latent(), format_count(model.spec.parameter_count()));
  text += fmt::format("{:<12}{:<34}{:>14}{:>14}\n", "", "layer", "output", "parameters");
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const LayerSlice& slice = slices[i];
    text += fmt::format("{:<12}{:<34}{:>14}{:>14}\n", slice.name, to_string(layers[i]),
                        to_string(slice.output_shape), format_count(slice.parameter_count()));
  }
  if (!model.training.empty()) text += "\ntrained with\n";
  // The record may hold anything; what a terminal would obey is not shown.
  for (const auto& [key, value] : model.training) {
    text += fmt::format("  {:<17} {}\n", io::printable(key), io::printable(value));
  }
  print(text);
}

void describe_program(bool json) {
  const dnnl_version_t* dnnl = dnnl_version();
  OrderedJson libraries = {
      // The bits depend on the version and on the instruction set.
      {"oneDNN", fmt::format("{}.{}.{}, instruction set 0x{:x}", dnnl->major, dnnl->minor,
                             dnnl->patch, static_cast<int>(dnnl_get_effective_cpu_isa()))},
      {"zlib", zlibVersion()},
      {"libpng", png_get_libpng_ver(nullptr)}};
  for (const LibraryVersion& library : list_cuda_libraries()) {
    libraries[library.name] = library.version;
  }
  if (json) {
    OrderedJson devices = OrderedJson::array();
    for (const DeviceInfo& device : list_devices()) {
      devices.push_back({{"name", device.name},
                         {"description", device.description},
                         {"usable", device.usable},
                         {"why_not", device.why_not}});
    }
    print_json({{"event", "info"},
                {"version", version()},
                {"compiler", AE_COMPILER},
                {"build_type", AE_BUILD_TYPE},
                {"devices", devices},
                {"libraries", libraries}});
    return;
  }
  std::string text =
      fmt::format("ae {}\nbuilt by {}, {}\n\ndevices\n", version(), AE_COMPILER, AE_BUILD_TYPE);
  for (const DeviceInfo& device : list_devices()) {
    text += fmt::format("  {:<8}{}{}\n", device.name, device.description,
                        device.usable ? "" : fmt::format(": not usable, {}", device.why_not));
  }
  text +=
      "\nThe same bits, with any number of threads, hold within one instruction set (AVX-512,\n"
      "AVX2, baseline; cpu's is named above) and one version of oneDNN.\n"
      "\nlibraries\n";
  for (const auto& [name, library_version] : libraries.items()) {
    text += fmt::format("  {:<12}{}\n", name, library_version.get<std::string>());
  }
  print(text);
}

}  // namespace

int run_info(const Arguments& arguments) {
  bool json = false;
  std::filesystem::path model_path;
  Options options("info [MODEL] [options]",
                  "What a model is; without one, what this program and this machine are.");
  options.add_optional_argument("MODEL", model_path, "a model.safetensors that ae train wrote");
  options.group("Output");
  options.add_flag("json", json, "one JSON object on stdout");
  options.add_example("ae info");
  options.add_example("ae info runs/mnist-32/model.safetensors");
  if (!options.parse(arguments)) return 0;
  if (!model_path.empty()) {
    describe_model(model_path, json);
  } else {
    describe_program(json);
  }
  return 0;
}

}  // namespace ae::cli
