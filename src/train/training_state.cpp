#include "train/training_state.hpp"

#include <algorithm>
#include <bit>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "ae/error.hpp"

#include "io/printable.hpp"
#include "io/untrusted_json.hpp"

namespace ae {

namespace {

using nlohmann::json;

constexpr const char* kFormat = "ae training";
constexpr const char* kVersion = "1";

/// Calls visit(name, tensor) for the tensors that lie within the first `floats` numbers.
template <typename Visit>
void for_each_tensor(std::string_view prefix, const std::vector<LayerSlice>& slices,
                     std::size_t floats, const Visit& visit) {
  for (const LayerSlice& slice : slices) {
    for (const TensorSlice& tensor : slice.tensors) {
      if (static_cast<std::size_t>(tensor.offset + tensor.size()) > floats) continue;
      visit(fmt::format("{}.{}.{}", prefix, slice.name, tensor.name), tensor);
    }
  }
}

TrainingState read_state(io::TensorFile file) {
  const auto text = [&](const char* key) -> const std::string& {
    const auto found = file.metadata.find(key);
    if (found == file.metadata.end()) throw Error(fmt::format("it has no {}", key));
    return found->second;
  };
  if (text("format") != kFormat) throw Error("it was not written by ae");
  if (text("version") != kVersion) throw Error("it was written by a newer ae");
  if (!file.verified) throw Error("its checksum is missing, so it was altered or damaged");
  TrainingState state;
  state.counters =
      io::parse_untrusted_json(text("counters")).get<std::map<std::string, std::int64_t>>();
  // Bits, since JSON has no infinity.
  const auto bits =
      io::parse_untrusted_json(text("numbers")).get<std::map<std::string, std::uint64_t>>();
  for (const auto& [name, value] : bits) state.numbers[name] = std::bit_cast<double>(value);
  state.tensors = std::move(file.tensors);
  return state;
}

}  // namespace

void TrainingState::add(std::string_view prefix, const std::vector<LayerSlice>& slices,
                        std::span<const float> buffer) {
  for_each_tensor(prefix, slices, buffer.size(), [&](std::string name, const TensorSlice& tensor) {
    const float* const values = buffer.data() + tensor.offset;
    tensors.push_back({std::move(name), tensor.shape, {values, values + tensor.size()}});
  });
}

void TrainingState::read(std::string_view prefix, const std::vector<LayerSlice>& slices,
                         std::span<float> buffer) const {
  for_each_tensor(
      prefix, slices, buffer.size(), [&](const std::string& name, const TensorSlice& tensor) {
        const auto found =
            std::find_if(tensors.begin(), tensors.end(),
                         [&](const io::Tensor& candidate) { return candidate.name == name; });
        if (found == tensors.end()) {
          throw Error(fmt::format("the training's state has no {}", name));
        }
        if (found->shape != tensor.shape) {
          throw Error(fmt::format("in the training's state {} is {}, but the model has {}", name,
                                  to_string(found->shape), to_string(tensor.shape)));
        }
        std::copy(found->values.begin(), found->values.end(), buffer.begin() + tensor.offset);
      });
}

std::int64_t TrainingState::counter(const std::string& name) const {
  const auto found = counters.find(name);
  if (found == counters.end()) throw Error(fmt::format("the training's state has no {}", name));
  return found->second;
}

double TrainingState::number(const std::string& name) const {
  const auto found = numbers.find(name);
  if (found == numbers.end()) throw Error(fmt::format("the training's state has no {}", name));
  return found->second;
}

void TrainingState::save(const std::filesystem::path& path) const {
  std::map<std::string, std::uint64_t> bits;
  for (const auto& [name, value] : numbers) bits[name] = std::bit_cast<std::uint64_t>(value);
  io::write_safetensors({.tensors = tensors,
                         .metadata = {{"format", kFormat},
                                      {"version", kVersion},
                                      {"counters", json(counters).dump()},
                                      {"numbers", json(bits).dump()}}},
                        path);
}

TrainingState TrainingState::load(const std::filesystem::path& path) {
  io::TensorFile file = io::read_safetensors(path);
  std::string why;
  try {
    return read_state(std::move(file));
  } catch (const json::exception&) {
    why = "its description is not what ae writes";
  } catch (const Error& error) {
    why = error.what();
  }
  throw Error(
      fmt::format("{} is not the state of a training: {}", path.string(), io::printable(why)));
}

}  // namespace ae
