#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ae/train.hpp"

#include "report/baselines.hpp"
#include "report/image_grid.hpp"

namespace ae::report {

/// All that a report shows, as plain numbers and text.
struct Report {
  std::string title;      ///< "mnist · 784 → 32 → 784"
  std::string data;       ///< "mnist: 60,000 training and 10,000 test rows of 28x28"
  std::string loss_name;  ///< "binary cross-entropy, mean over elements"
  std::vector<EpochResult> epochs;
  double test_loss = 0;  ///< NaN without test data
  std::optional<double> test_squared_error_per_row;
  std::optional<Baselines> baselines;
  std::optional<Image> reconstructions;
  bool interrupted = false;
  double seconds = 0;
  /// In order: "epochs" → "50", …
  std::vector<std::pair<std::string, std::string>> configuration;
  /// "device" → …, "CPU" → …, "memory" → …, "ae" → version, …
  std::vector<std::pair<std::string, std::string>> machine;
};

/// One self-contained HTML file (inline style, SVG curves, the picture as data), readable offline.
/// The file appears whole or not at all.
void write_report(const Report& report, const std::filesystem::path& path);

}  // namespace ae::report
