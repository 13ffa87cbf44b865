#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ae/model.hpp"

#include "io/safetensors.hpp"

namespace ae {

/// All that decides how a training goes on from the end of an epoch, in host memory: the weights,
/// what the optimiser keeps of each, their average, and how far everything has come. Random numbers
/// need no state, as they are addressed by seed and step.
struct TrainingState {
  /// "model.encoder.0.weight", "optimizer.first.encoder.0.weight", "average.encoder.0.weight", …,
  /// laid out as in memory.
  std::vector<io::Tensor> tensors;
  std::map<std::string, std::int64_t> counters;  ///< "step", "epoch", …
  std::map<std::string, double> numbers;         ///< "plateau.least_loss", …

  bool operator==(const TrainingState&) const = default;

  /// Adds the tensors of `slices` from a buffer that is laid out by them, as far as it goes; their
  /// names begin with `prefix`.
  void add(std::string_view prefix, const std::vector<LayerSlice>& slices,
           std::span<const float> buffer);
  /// The other way. @throws Error if a tensor is missing or has another shape.
  void read(std::string_view prefix, const std::vector<LayerSlice>& slices,
            std::span<float> buffer) const;
  /// @throws Error if there is none of that name.
  [[nodiscard]] std::int64_t counter(const std::string& name) const;
  [[nodiscard]] double number(const std::string& name) const;

  /// As safetensors, whole or not at all. @throws Error if it cannot be written.
  void save(const std::filesystem::path& path) const;
  /// @throws Error if the file is missing, cut, altered, or no training's state.
  static TrainingState load(const std::filesystem::path& path);
};

}  // namespace ae
