#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ae/train.hpp"

#include "report/baselines.hpp"
#include "report/image_grid.hpp"

namespace ae::report {

/// Rows that are no images, and what the model makes of them, one after the other.
struct DrawnRows {
  std::int64_t row_size = 0;
  std::vector<float> originals;
  std::vector<float> reconstructions;  ///< may be empty
};

/// The two parts of a variational model's loss, over the test rows, or the training rows without.
struct VariationalParts {
  double reconstruction = 0;
  double kl = 0;  ///< nats a sample, without β
  double beta = 1;
  bool is_mean = false;  ///< whether both are divided by a row's number of values
};

/// All that a report shows, as plain numbers and text.
struct Report {
  std::string title;      ///< "mnist · 784 → 32 → 784"
  std::string data;       ///< "mnist: 60,000 training and 10,000 test rows of 28x28"
  std::string loss_name;  ///< "binary cross-entropy, mean over elements"
  std::vector<EpochResult> epochs;
  double test_loss = 0;  ///< NaN without test data
  std::optional<double> test_squared_error_per_row;
  std::optional<Baselines> baselines;
  std::int64_t row_size = 0;  ///< 0 where it is not known
  std::optional<VariationalParts> variational;
  std::optional<Image> reconstructions;   ///< of rows that are images
  std::optional<DrawnRows> row_lines;     ///< of others
  std::optional<Image> samples;           ///< decoded draws from a variational model's prior
  std::optional<DrawnRows> sample_lines;  ///< likewise
  bool interrupted = false;
  double seconds = 0;
  /// In order: "epochs" → "50", …
  std::vector<std::pair<std::string, std::string>> configuration;
  /// "device" → …, "CPU" → …, "memory" → …, "ae" → version, …
  std::vector<std::pair<std::string, std::string>> machine;
};

/// Whether PCA has as many components as rows have values, so that it loses nothing and is no
/// measure of a model.
bool pca_is_complete(const Report& report);

/// One self-contained HTML file (inline style, SVG curves, the picture as data), readable offline.
/// The file appears whole or not at all.
void write_report(const Report& report, const std::filesystem::path& path);

}  // namespace ae::report
