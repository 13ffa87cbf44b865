#include "report/baselines.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <zlib.h>

#include "ae/error.hpp"

#include "formulas/losses.hpp"
#include "io/atomic_file.hpp"
#include "report/principal_components.hpp"

namespace ae::report {

namespace {

using nlohmann::json;

/// Keras's epsilon: what a constant answer of 0 or 1 is moved to before its logarithm is taken.
constexpr double kClip = 1e-7;
/// Training rows that the clip of PCA's outputs is chosen on.
constexpr std::int64_t kClipRows = 2000;

/// Raised whenever the same data would give other figures, so that old ones are not taken.
constexpr int kCacheVersion = 2;

double entropy(double t) {
  const auto term = [](double p) { return p > 0 ? -p * std::log(p) : 0.0; };
  return term(t) + term(1 - t);
}

double cross_entropy(double y, double t, double clip) {
  const double p = std::clamp(y, clip, 1 - clip);
  return -t * std::log(p) - (1 - t) * std::log(1 - p);
}

/// One element's loss, of an output that is clipped for BCE.
double element_loss(Loss loss, double y, double t, double clip) {
  if (loss == Loss::bce) return cross_entropy(y, t, clip);
  double result = 0;
  for_formula(loss, losses::Losses{}, [&]<typename Formula>() {
    if constexpr (Formula::kKind != Loss::bce) result = Formula::at(y, t).loss;
  });
  return result;
}

/// From a sum over all elements to what the reduction reports.
double reduced(double sum, Reduction reduction, const Dataset& data) {
  const auto rows = static_cast<double>(data.rows());
  return reduction == Reduction::mean ? sum / (rows * static_cast<double>(data.row_size()))
                                      : sum / rows;
}

double floor_sum(Loss loss, const Dataset& data) {
  if (loss != Loss::bce) {
    return element_loss(loss, 0, 0, 0) * static_cast<double>(data.rows() * data.row_size());
  }
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

/// Σ loss of answering `mean` to every row.
double mean_image_sum(Loss loss, const std::vector<double>& mean, const Dataset& data) {
  std::vector<double> sums(mean.size());
  std::vector<float> row(mean.size());
  for (std::int64_t i = 0; i < data.rows(); ++i) {
    data.copy_row(i, row);
    for (std::size_t c = 0; c < row.size(); ++c) {
      const auto value = static_cast<double>(row[c]);
      // BCE is linear in the targets, so their sums suffice and the logarithms can wait.
      sums[c] += loss == Loss::bce ? value : element_loss(loss, mean[c], value, 0);
    }
  }
  if (loss != Loss::bce) return std::accumulate(sums.begin(), sums.end(), 0.0);
  const auto rows = static_cast<double>(data.rows());
  double total = 0;
  for (std::size_t c = 0; c < mean.size(); ++c) {
    const double p = std::clamp(mean[c], kClip, 1 - kClip);
    total += -sums[c] * std::log(p) - (rows - sums[c]) * std::log(1 - p);
  }
  return total;
}

/// PCA's outputs are clipped for BCE with the one of these that gives the least loss.
constexpr std::array kClips = {1e-5, 3e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05};

double best_clip(const PrincipalComponents& pca, const Dataset& training) {
  std::array<double, kClips.size()> sums{};
  pca.for_each_reconstruction(
      training, std::min(kClipRows, training.rows()),
      [&](std::span<const float> target, std::span<const float> reconstruction) {
        for (std::size_t i = 0; i < kClips.size(); ++i) {
          for (std::size_t c = 0; c < target.size(); ++c) {
            sums[i] += cross_entropy(static_cast<double>(reconstruction[c]),
                                     static_cast<double>(target[c]), kClips[i]);
          }
        }
      });
  return kClips[static_cast<std::size_t>(std::min_element(sums.begin(), sums.end()) -
                                         sums.begin())];
}

PcaBaseline pca_baseline(const PrincipalComponents& pca, const Dataset& training,
                         const Dataset& test, Loss loss, Reduction reduction) {
  const double clip = loss == Loss::bce ? best_clip(pca, training) : 0;
  double squared_error = 0;
  double loss_sum = 0;
  pca.for_each_reconstruction(
      test, test.rows(), [&](std::span<const float> target, std::span<const float> reconstruction) {
        for (std::size_t c = 0; c < target.size(); ++c) {
          const auto t = static_cast<double>(target[c]);
          const auto y = static_cast<double>(reconstruction[c]);
          squared_error += (y - t) * (y - t);
          loss_sum += element_loss(loss, y, t, clip);
        }
      });
  return {.components = pca.components(),
          .loss = reduced(loss_sum, reduction, test),
          .clip = clip,
          .squared_error_per_row = squared_error / static_cast<double>(test.rows())};
}

Baselines compute(const Dataset& training, const Dataset& test, Loss loss, Reduction reduction,
                  int components) {
  const std::vector<double> mean = column_means(training);
  Baselines baselines{.floor = reduced(floor_sum(loss, test), reduction, test),
                      .mean_image = reduced(mean_image_sum(loss, mean, test), reduction, test),
                      .pca = std::nullopt};
  if (training.rows() > 1 && PrincipalComponents::are_affordable(training.row_size(), components)) {
    baselines.pca = pca_baseline(PrincipalComponents(training, mean, components), training, test,
                                 loss, reduction);
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
  json pca;  // null without it
  if (baselines.pca) {
    pca = {{"components", baselines.pca->components},
           {"loss", baselines.pca->loss},
           {"clip", baselines.pca->clip},
           {"squared_error_per_row", baselines.pca->squared_error_per_row}};
  }
  return {{"floor", baselines.floor}, {"mean_image", baselines.mean_image}, {"pca", pca}};
}

std::optional<Baselines> read_cache(const std::filesystem::path& path) {
  std::ifstream file(path);
  const json cached = json::parse(file, nullptr, /*allow_exceptions=*/false);
  try {
    Baselines baselines{
        .floor = cached.at("floor"), .mean_image = cached.at("mean_image"), .pca = std::nullopt};
    if (const json& pca = cached.at("pca"); !pca.is_null()) {
      baselines.pca = PcaBaseline{.components = pca.at("components"),
                                  .loss = pca.at("loss"),
                                  .clip = pca.at("clip"),
                                  .squared_error_per_row = pca.at("squared_error_per_row")};
    }
    return baselines;
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
  if (training.row_size() != test.row_size()) {
    throw UsageError(fmt::format("{} has rows of {} and {} rows of {}, give data of one shape",
                                 training.source(), to_string(training.row_shape()), test.source(),
                                 to_string(test.row_shape())));
  }
  const std::filesystem::path path =
      cache_directory / "baselines" /
      fmt::format("{}-{}-{}-{}-{}-v{}.json", fingerprint(training), fingerprint(test),
                  to_string(loss), to_string(reduction), components, kCacheVersion);
  if (const std::optional<Baselines> cached = read_cache(path)) return *cached;
  const Baselines baselines = compute(training, test, loss, reduction, components);
  write_cache(baselines, path);
  return baselines;
}

double closed_gap(const Baselines& baselines, double loss) {
  constexpr double kRounding = 1e-7;  // of losses, which are made of floats
  const double gap = baselines.mean_image - baselines.floor;
  const double closed = (baselines.mean_image - loss) / gap;
  if (!(gap > kRounding * baselines.mean_image) || !std::isfinite(closed)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  return std::min(closed, 1.0);
}

}  // namespace ae::report
