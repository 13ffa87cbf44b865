#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>

#include "ae/model.hpp"
#include "ae/train.hpp"

#include "cli/claimed_folder.hpp"
#include "io/atomic_file.hpp"

namespace ae::cli {

/// The folder that a training leaves: model.safetensors, metrics.csv, config.toml,
/// reconstructions.png, report.html.
///
/// It never holds parts of two runs. Where it has an earlier run's model, the new run works in the
/// folder `unfinished` within it until its own model is on disk, and only then takes the earlier
/// run's place: a run that is killed or fails leaves the earlier one as it was.
class RunFolder {
 public:
  /// Removes what a killed run left, and keeps disk space for the model.
  /// @throws Error if the model's file, or any other of the folder, cannot be written: before the
  /// work rather than after it.
  RunFolder(ClaimedFolder folder, std::uint64_t model_bytes);

  [[nodiscard]] std::filesystem::path model() const;
  [[nodiscard]] std::filesystem::path picture() const;
  [[nodiscard]] std::filesystem::path report() const;

  void write_config(std::string_view toml) const;

  /// Adds a line to metrics.csv, on disk at once: a training that dies leaves its history.
  void add_metrics(const EpochResult& epoch);

  /// Writes the model, and gives this run the earlier one's place. May be called again.
  /// @throws Error if that fails; an earlier run is then still there.
  void save(const Model& model);

  /// Gives the folder back, from any thread; nothing may be written afterwards.
  void release() noexcept { claimed_.release(); }

 private:
  void start_metrics();
  /// @throws Error if the history could not be written.
  void require_metrics() const;
  void replace_earlier_run(const Model& model);

  ClaimedFolder claimed_;
  std::filesystem::path work_;  ///< where this run's files are: the folder, or `unfinished`
  std::optional<io::AtomicFile> reserved_;
  std::ofstream metrics_;
};

}  // namespace ae::cli
