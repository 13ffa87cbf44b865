#pragma once

#include <filesystem>
#include <fstream>
#include <string_view>

#include "ae/train.hpp"

namespace ae::cli {

/// The folder that a training leaves: model.safetensors, metrics.csv, config.toml,
/// reconstructions.png, report.html.
class RunFolder {
 public:
  /// Makes the folder and its parents. @throws Error if that is not possible, or nothing can be
  /// written there: before the work rather than after it.
  explicit RunFolder(std::filesystem::path folder);

  /// runs/NAME, or runs/NAME-2, -3, … if that already holds a model.
  static std::filesystem::path unused(std::string_view name);

  [[nodiscard]] std::filesystem::path model() const { return folder_ / "model.safetensors"; }
  [[nodiscard]] std::filesystem::path picture() const { return folder_ / "reconstructions.png"; }
  [[nodiscard]] std::filesystem::path report() const { return folder_ / "report.html"; }

  void write_config(std::string_view toml) const;

  /// Adds a line to metrics.csv, on disk at once: a training that dies leaves its history.
  void add_metrics(const EpochResult& epoch);

 private:
  std::filesystem::path folder_;
  std::ofstream metrics_;
};

}  // namespace ae::cli
