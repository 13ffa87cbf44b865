#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "ae/error.hpp"
#include "ae/model.hpp"

#include "io/printable.hpp"
#include "io/safetensors.hpp"

namespace ae {

namespace {

using nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr const char* kFormat = "ae";
constexpr const char* kVersion = "1";

OrderedJson to_json(const std::vector<DenseSpec>& layers) {
  OrderedJson list = OrderedJson::array();
  for (const DenseSpec& layer : layers) {
    list.push_back(
        {{"type", "dense"}, {"units", layer.units}, {"activation", to_string(layer.activation)}});
  }
  return list;
}

/// Text that is not UTF-8, such as an odd file name, becomes replacement characters: no reason to
/// lose a model that was trained.
std::string training_text(const std::map<std::string, std::string>& training) {
  return json(training).dump(-1, ' ', false, json::error_handler_t::replace);
}

std::vector<DenseSpec> layers_from_json(const json& list) {
  std::vector<DenseSpec> layers;
  for (const json& layer : list) {
    if (const auto type = layer.at("type").get<std::string>(); type != "dense") {
      throw Error(fmt::format("it has a layer of unknown type '{}'", type));
    }
    layers.push_back({layer.at("units").get<std::int64_t>(),
                      parse_activation(layer.at("activation").get<std::string>())});
  }
  return layers;
}

/// PyTorch's (units, inputs) from our (inputs, units), or back: a transposition either way.
std::vector<float> transposed(const float* from, std::int64_t rows, std::int64_t cols) {
  std::vector<float> to(static_cast<std::size_t>(rows * cols));
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t col = 0; col < cols; ++col) {
      to[static_cast<std::size_t>(col * rows + row)] = from[row * cols + col];
    }
  }
  return to;
}

ModelSpec read_spec(const io::TensorFile& file) {
  const std::map<std::string, std::string>& metadata = file.metadata;
  const auto format = metadata.find("format");
  const auto model = metadata.find("model");
  if (format == metadata.end() || format->second != kFormat || model == metadata.end()) {
    throw Error("it was not written by ae");
  }
  if (const auto version = metadata.find("version");
      version == metadata.end() || version->second != kVersion) {
    throw Error("it was written by a newer ae");
  }
  if (!file.verified) throw Error("its checksum is missing, so it was altered or damaged");
  const json description = json::parse(model->second);
  ModelSpec spec{description.at("input_shape").get<Shape>(),
                 layers_from_json(description.at("encoder")),
                 layers_from_json(description.at("decoder"))};
  spec.validate();
  return spec;
}

using TensorsByName = std::map<std::string_view, const io::Tensor*>;

const io::Tensor& find_tensor(const TensorsByName& tensors, const std::string& name,
                              const std::vector<std::int64_t>& shape) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) throw Error(fmt::format("its tensor {} is missing", name));
  const io::Tensor& tensor = *found->second;
  if (tensor.shape != shape) {
    throw Error(fmt::format("its tensor {} is {}, but its description says {}", name,
                            to_string(tensor.shape), to_string(shape)));
  }
  return tensor;
}

Model read_model(const io::TensorFile& file) {
  Model model;
  model.spec = read_spec(file);
  if (const auto training = file.metadata.find("training"); training != file.metadata.end()) {
    model.training = json::parse(training->second).get<std::map<std::string, std::string>>();
  }
  const std::vector<LayerSlice> slices = layer_slices(model.spec);
  if (file.tensors.size() != 2 * slices.size()) {
    throw Error(fmt::format("it has {} tensors, but its description needs {}", file.tensors.size(),
                            2 * slices.size()));
  }
  TensorsByName tensors;
  for (const io::Tensor& tensor : file.tensors) tensors.emplace(tensor.name, &tensor);
  const auto weight_of = [&](const LayerSlice& slice) -> const io::Tensor& {
    return find_tensor(tensors, slice.name + ".weight", {slice.units, slice.inputs});
  };
  const auto bias_of = [&](const LayerSlice& slice) -> const io::Tensor& {
    return find_tensor(tensors, slice.name + ".bias", {slice.units});
  };
  // All tensors are there in full before room is made for them.
  for (const LayerSlice& slice : slices) {
    weight_of(slice);
    bias_of(slice);
  }
  model.parameters.resize(static_cast<std::size_t>(parameter_floats(model.spec)));
  for (const LayerSlice& slice : slices) {
    const std::vector<float> weight =
        transposed(weight_of(slice).values.data(), slice.units, slice.inputs);
    const std::vector<float>& bias = bias_of(slice).values;
    std::copy(weight.begin(), weight.end(), model.parameters.begin() + slice.weight);
    std::copy(bias.begin(), bias.end(), model.parameters.begin() + slice.bias);
  }
  return model;
}

}  // namespace

void save_model(const Model& model, const std::filesystem::path& path) {
  io::TensorFile file;
  OrderedJson description;
  description["input_shape"] = model.spec.input_shape;
  description["encoder"] = to_json(model.spec.encoder);
  description["decoder"] = to_json(model.spec.decoder);
  file.metadata = {{"format", kFormat},
                   {"version", kVersion},
                   {"model", description.dump()},
                   {"training", training_text(model.training)}};
  for (const LayerSlice& slice : layer_slices(model.spec)) {
    const float* weight = model.parameters.data() + slice.weight;
    const float* bias = model.parameters.data() + slice.bias;
    file.tensors.push_back({slice.name + ".weight",
                            {slice.units, slice.inputs},
                            transposed(weight, slice.inputs, slice.units)});
    file.tensors.push_back({slice.name + ".bias", {slice.units}, {bias, bias + slice.units}});
  }
  io::write_safetensors(file, path);
}

Model load_model(const std::filesystem::path& path) {
  const io::TensorFile file = io::read_safetensors(path);
  std::string why;
  try {
    return read_model(file);
  } catch (const json::exception&) {
    why = "its description is not what ae writes";
  } catch (const Error& error) {
    why = error.what();
  }
  throw Error(
      fmt::format("{} is not a model that ae can use: {}; use a model.safetensors that ae "
                  "train wrote",
                  path.string(), io::printable(why)));
}

}  // namespace ae
