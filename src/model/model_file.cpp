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
#include "io/untrusted_json.hpp"
#include "layers/shapes.hpp"
#include "model/layout.hpp"

namespace ae {

namespace {

using nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr const char* kFormat = "ae";
constexpr const char* kVersion = "2";
constexpr const char* kFirstVersion = "1";
constexpr const char* kBadDescription = "its description is not what ae writes";

OrderedJson to_json(const std::vector<LayerSpec>& layers) {
  OrderedJson list = OrderedJson::array();
  for (const LayerSpec& layer : layers) list.push_back(to_string(layer));
  return list;
}

/// Text that is not UTF-8, such as an odd file name, becomes replacement characters: no reason to
/// lose a model that was trained.
std::string training_text(const std::map<std::string, std::string>& training) {
  return json(training).dump(-1, ' ', false, json::error_handler_t::replace);
}

json parse_description(const std::string& text) {
  try {
    return io::parse_untrusted_json(text);
  } catch (const Error& error) {
    throw Error(fmt::format("{}, it {}", kBadDescription, error.what()));
  }
}

/// Version 1 knew dense layers only, as objects.
std::vector<LayerSpec> layers_from_json(const json& list) {
  if (list.size() > kMostLayers) {
    throw Error(fmt::format("it has {} layers, and {} are the most", list.size(), kMostLayers));
  }
  std::vector<LayerSpec> layers;
  for (const json& layer : list) {
    if (layer.is_string()) {
      layers.push_back(parse_layer(layer.get<std::string>(), Activation::identity));
    } else if (const auto type = layer.at("type").get<std::string>(); type == "dense") {
      layers.emplace_back(DenseSpec{layer.at("units").get<std::int64_t>(),
                                    parse_activation(layer.at("activation").get<std::string>())});
    } else {
      throw Error(fmt::format("it has a layer of unknown type '{}'", type));
    }
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

/// A tensor as it lies in the file, and the way there and back.
class FileTensor {
 public:
  explicit FileTensor(const LayerTensor& tensor)
      : layout_(tensor.file_layout), shape_(tensor.shape) {
    if (layout_ == FileLayout::same) return;
    // (area, c, o) becomes (o, c, area); a matrix (c, o) has an area of 1.
    o_ = shape_.back();
    c_ = shape_[shape_.size() - 2];
    if (layout_ == FileLayout::transposed) {
      shape_ = {o_, c_};
    } else {
      area_ = shape_[0] * shape_[1];
      shape_ = {o_, c_, shape_[0], shape_[1]};
    }
  }

  [[nodiscard]] const Shape& shape() const { return shape_; }

  [[nodiscard]] std::vector<float> to_file(const float* ours) const {
    if (layout_ == FileLayout::same) return {ours, ours + element_count(shape_)};
    std::vector<float> file = transposed(ours, area_ * c_, o_);
    return area_ == 1 ? file : inner_transposed(std::move(file), area_, c_);
  }
  [[nodiscard]] std::vector<float> from_file(const std::vector<float>& file) const {
    if (layout_ == FileLayout::same) return file;
    const std::vector<float> channels_last = area_ == 1 ? file : inner_transposed(file, c_, area_);
    return transposed(channels_last.data(), o_, area_ * c_);
  }

 private:
  [[nodiscard]] std::vector<float> inner_transposed(std::vector<float> all, std::int64_t rows,
                                                    std::int64_t cols) const {
    for (std::int64_t i = 0; i < o_; ++i) {
      float* const part = all.data() + i * rows * cols;
      const std::vector<float> turned = transposed(part, rows, cols);
      std::copy(turned.begin(), turned.end(), part);
    }
    return all;
  }

  FileLayout layout_;
  Shape shape_;
  std::int64_t area_ = 1;
  std::int64_t c_ = 0;
  std::int64_t o_ = 0;
};

std::string file_name(const LayerSlice& slice, const TensorSlice& tensor) {
  return slice.name + "." + tensor.name;
}

ModelSpec read_spec(const io::TensorFile& file) {
  const std::map<std::string, std::string>& metadata = file.metadata;
  const auto format = metadata.find("format");
  const auto model = metadata.find("model");
  if (format == metadata.end() || format->second != kFormat || model == metadata.end()) {
    throw Error("it was not written by ae");
  }
  if (const auto version = metadata.find("version");
      version == metadata.end() ||
      (version->second != kVersion && version->second != kFirstVersion)) {
    throw Error("it was written by a newer ae");
  }
  if (!file.verified) throw Error("its checksum is missing, so it was altered or damaged");
  const json description = parse_description(model->second);
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
    model.training = parse_description(training->second).get<std::map<std::string, std::string>>();
  }
  const Layout layout = layout_of(model.spec);
  const std::vector<LayerSlice>& slices = layout.slices;
  std::size_t needed = 0;
  for (const LayerSlice& slice : slices) needed += slice.tensors.size();
  if (file.tensors.size() != needed) {
    throw Error(fmt::format("it has {} tensors, but its description needs {}", file.tensors.size(),
                            needed));
  }
  TensorsByName tensors;
  for (const io::Tensor& tensor : file.tensors) tensors.emplace(tensor.name, &tensor);
  // All tensors are there in full before room is made for them.
  std::vector<const io::Tensor*> found;
  for (const LayerSlice& slice : slices) {
    for (const TensorSlice& tensor : slice.tensors) {
      found.push_back(&find_tensor(tensors, file_name(slice, tensor), FileTensor(tensor).shape()));
    }
  }
  model.parameters.resize(static_cast<std::size_t>(layout.floats));
  auto next = found.begin();
  for (const LayerSlice& slice : slices) {
    for (const TensorSlice& tensor : slice.tensors) {
      const std::vector<float> values = FileTensor(tensor).from_file((*next++)->values);
      std::copy(values.begin(), values.end(), model.parameters.begin() + tensor.offset);
    }
  }
  return model;
}

}  // namespace

void save_model(const Model& model, const std::filesystem::path& path) {
  model.validate();
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
    for (const TensorSlice& tensor : slice.tensors) {
      const FileTensor as_file(tensor);
      file.tensors.push_back({file_name(slice, tensor), as_file.shape(),
                              as_file.to_file(model.parameters.data() + tensor.offset)});
    }
  }
  io::write_safetensors(file, path);
}

Model load_model(const std::filesystem::path& path) {
  const io::TensorFile file = io::read_safetensors(path);
  std::string why;
  try {
    return read_model(file);
  } catch (const json::exception&) {
    why = kBadDescription;
  } catch (const Error& error) {
    why = error.what();
  }
  throw Error(
      fmt::format("{} is not a model that ae can use: {}; use a model.safetensors that ae "
                  "train wrote",
                  path.string(), io::printable(why)));
}

}  // namespace ae
