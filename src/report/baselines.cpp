#include "report/baselines.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <zlib.h>

#include "ae/error.hpp"

#include "io/atomic_file.hpp"
#include "report/principal_components.hpp"

namespace ae::report {

namespace {

using nlohmann::json;

/// Keras's epsilon: what a constant answer of 0 or 1 is moved to before its logarithm is taken.
constexpr double kClip = 1e-7;
/// Training rows that the clip of PCA's outputs is chosen on.
constexpr std::int64_t kClipRows = 2000;

double entropy(double t) {
  const auto term = [](double p) { return p > 0 ? -p * std::log(p) : 0.0; };
  return term(t) + term(1 - t);
}

double element_loss(Loss loss, double y, double t, double clip) {
  if (loss == Loss::mse) return (y - t) * (y - t);
  const double p = std::clamp(y, clip, 1 - clip);
  return -t * std::log(p) - (1 - t) * std::log(1 - p);
}

/// From a sum over all elements to what the reduction reports.
double reduced(double sum, Reduction reduction, const Dataset& data) {
  const auto rows = static_cast<double>(data.rows());
  return reduction == Reduction::mean ? sum / (rows * static_cast<double>(data.row_size()))
                                      : sum / rows;
}

double floor_sum(Loss loss, const Dataset& data) {
  if (loss == Loss::mse) return 0;
  double sum = 0;
  if (data.is_bytes()) {
    std::array<std::int64_t, 256> counts{};
    for (const std::uint8_t byte : data.bytes()) ++counts[byte];
    for (std::size_t byte = 0; byte < counts.size(); ++byte) {
      sum += static_cast<double>(counts[byte]) * entropy(static_cast<double>(byte) / 255.0);
    }
  } else {
    for (const float value : data.floats()) sum += entropy(static_cast<double>(value));
  }
  return sum;
}

/// Σ loss of answering `mean` to every row. Linear in the targets for BCE, quadratic for MSE:
/// either way, column sums of the targets and of their squares suffice.
double mean_image_sum(Loss loss, const std::vector<double>& mean, const Dataset& data) {
  std::vector<double> sums(mean.size());
  std::vector<double> squares(mean.size());
  std::vector<float> row(mean.size());
  for (std::int64_t i = 0; i < data.rows(); ++i) {
    data.copy_row(i, row);
    for (std::size_t c = 0; c < row.size(); ++c) {
      const auto value = static_cast<double>(row[c]);
      sums[c] += value;
      squares[c] += value * value;
    }
  }
  const auto rows = static_cast<double>(data.rows());
  double total = 0;
  for (std::size_t c = 0; c < mean.size(); ++c) {
    if (loss == Loss::mse) {
      total += squares[c] - 2 * mean[c] * sums[c] + rows * mean[c] * mean[c];
    } else {
      const double p = std::clamp(mean[c], kClip, 1 - kClip);
      total += -sums[c] * std::log(p) - (rows - sums[c]) * std::log(1 - p);
    }
  }
  return total;
}

struct PcaSums {
  double loss = 0;
  double squared_error = 0;
};

PcaSums pca_sums(const PrincipalComponents& pca, Loss loss, double clip, const Dataset& data,
                 std::int64_t rows) {
  PcaSums sums;
  pca.for_each_reconstruction(
      data, rows, [&](std::span<const float> target, std::span<const float> reconstruction) {
        for (std::size_t c = 0; c < target.size(); ++c) {
          const auto t = static_cast<double>(target[c]);
          const auto y = static_cast<double>(reconstruction[c]);
          sums.squared_error += (y - t) * (y - t);
          if (loss == Loss::bce) sums.loss += element_loss(loss, y, t, clip);
        }
      });
  if (loss == Loss::mse) sums.loss = sums.squared_error;
  return sums;
}

double best_clip(const PrincipalComponents& pca, const Dataset& training) {
  double best = 0;
  double best_loss = std::numeric_limits<double>::infinity();
  for (const double clip : {1e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05}) {
    const std::int64_t rows = std::min(kClipRows, training.rows());
    const double loss = pca_sums(pca, Loss::bce, clip, training, rows).loss;
    if (loss < best_loss) {
      best_loss = loss;
      best = clip;
    }
  }
  return best;
}

Baselines compute(const Dataset& training, const Dataset& test, Loss loss, Reduction reduction,
                  int components) {
  Baselines baselines;
  baselines.floor = reduced(floor_sum(loss, test), reduction, test);
  const std::vector<double> mean = column_means(training);
  baselines.mean_image = reduced(mean_image_sum(loss, mean, test), reduction, test);
  if (training.row_size() <= PrincipalComponents::kMostColumns && training.rows() > 1) {
    const PrincipalComponents pca(training, mean, components);
    baselines.components = pca.components();
    if (loss == Loss::bce) baselines.clip = best_clip(pca, training);
    const PcaSums sums = pca_sums(pca, loss, baselines.clip, test, test.rows());
    baselines.pca = reduced(sums.loss, reduction, test);
    baselines.pca_squared_error_per_row = sums.squared_error / static_cast<double>(test.rows());
  }
  return baselines;
}

/// Changes whenever the data do: their shapes and a checksum of their bytes.
std::string fingerprint(const Dataset& data) {
  const std::span<const std::byte> bytes =
      data.is_bytes() ? std::as_bytes(data.bytes()) : std::as_bytes(data.floats());
  const auto sum = crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  return fmt::format("{}x{}-{:08x}", data.rows(), to_string(data.row_shape()), sum);
}

json to_json(const Baselines& baselines) {
  return {{"floor", baselines.floor},
          {"mean_image", baselines.mean_image},
          {"pca", baselines.pca},
          {"components", baselines.components},
          {"clip", baselines.clip},
          {"pca_squared_error_per_row", baselines.pca_squared_error_per_row}};
}

std::optional<Baselines> read_cache(const std::filesystem::path& path) {
  std::ifstream file(path);
  const json cached = json::parse(file, nullptr, /*allow_exceptions=*/false);
  try {
    return Baselines{.floor = cached.at("floor"),
                     .mean_image = cached.at("mean_image"),
                     .pca = cached.at("pca"),
                     .components = cached.at("components"),
                     .clip = cached.at("clip"),
                     .pca_squared_error_per_row = cached.at("pca_squared_error_per_row")};
  } catch (const json::exception&) {
    return std::nullopt;  // absent or damaged: computed anew
  }
}

void write_cache(const Baselines& baselines, const std::filesystem::path& path) {
  try {
    std::filesystem::create_directories(path.parent_path());
    io::AtomicFile file(path);
    file.write(to_json(baselines).dump() + "\n");
    file.commit();
  } catch (const std::exception&) {
    // A cache that cannot be written costs time, nothing else.
  }
}

}  // namespace

Baselines compute_baselines(const Dataset& training, const Dataset& test, Loss loss,
                            Reduction reduction, int components,
                            const std::filesystem::path& cache_directory) {
  const std::filesystem::path path =
      cache_directory / "baselines" /
      fmt::format("{}-{}-{}-{}-{}.json", fingerprint(training), fingerprint(test), to_string(loss),
                  to_string(reduction), components);
  if (const std::optional<Baselines> cached = read_cache(path)) return *cached;
  const Baselines baselines = compute(training, test, loss, reduction, components);
  write_cache(baselines, path);
  return baselines;
}

double closed_gap(const Baselines& baselines, double loss) {
  return (baselines.mean_image - loss) / (baselines.mean_image - baselines.floor);
}

}  // namespace ae::report
