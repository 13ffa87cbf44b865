// The baselines against naive loops in double, the picture pixel by pixel, and the report as text.

#include "report/report.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <limits>
#include <map>
#include <random>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <png.h>

#include "ae/dataset.hpp"
#include "ae/error.hpp"

#include "error_message.hpp"
#include "report/baselines.hpp"
#include "report/html.hpp"
#include "report/image_grid.hpp"
#include "report/principal_components.hpp"
#include "temporary_folder.hpp"

namespace ae::report {
namespace {

using test::content_of;
using test::error_of;
using test::says;
using test::TemporaryFolder;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr float kNaNF = std::numeric_limits<float>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

using Matrix = std::vector<std::vector<double>>;

// ── Data ────────────────────────────────────────────────────────────────────────────────────────

/// Rows that vary in a few directions more than in others, as pixels do.
Dataset sample_floats(std::int64_t rows, std::int64_t columns, unsigned seed) {
  std::mt19937 random(7);  // the directions are the same for every seed
  std::normal_distribution<double> normal;
  Matrix directions(6, std::vector<double>(static_cast<std::size_t>(columns)));
  for (auto& direction : directions) {
    for (double& value : direction) value = normal(random);
  }
  random.seed(seed);
  std::vector<float> values;
  for (std::int64_t row = 0; row < rows; ++row) {
    std::vector<double> weights;
    for (std::size_t d = 0; d < directions.size(); ++d) {
      weights.push_back(0.12 * normal(random) / static_cast<double>(d + 1));
    }
    for (std::size_t c = 0; c < static_cast<std::size_t>(columns); ++c) {
      double value = 0.4 + 0.03 * normal(random);
      for (std::size_t d = 0; d < directions.size(); ++d) value += weights[d] * directions[d][c];
      values.push_back(static_cast<float>(std::clamp(value, 0.0, 1.0)));
    }
  }
  return {"floats", {columns}, std::move(values)};
}

Dataset as_bytes(const Dataset& floats) {
  std::vector<std::uint8_t> bytes;
  for (const float value : floats.floats()) {
    bytes.push_back(static_cast<std::uint8_t>(std::lround(value * 255)));
  }
  return {"bytes", floats.row_shape(), std::move(bytes)};
}

Matrix rows_of(const Dataset& data) {
  Matrix rows;
  std::vector<float> row(static_cast<std::size_t>(data.row_size()));
  for (std::int64_t i = 0; i < data.rows(); ++i) {
    data.copy_row(i, row);
    rows.emplace_back(row.begin(), row.end());
  }
  return rows;
}

// ── Naive answers ───────────────────────────────────────────────────────────────────────────────

double naive_entropy(double t) {
  double sum = 0;
  if (t > 0) sum -= t * std::log(t);
  if (t < 1) sum -= (1 - t) * std::log(1 - t);
  return sum;
}

double naive_cross_entropy(double y, double t, double clip) {
  const double p = std::min(std::max(y, clip), 1 - clip);
  return -t * std::log(p) - (1 - t) * std::log(1 - p);
}

double naive_squared_error(double y, double t) {
  return (y - t) * (y - t);
}

/// Σ loss(y, t) over all elements, divided by the number of rows.
double naive_loss_per_row(const Matrix& outputs, const Matrix& targets,
                          const std::function<double(double, double)>& loss) {
  double sum = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    for (std::size_t c = 0; c < targets[i].size(); ++c) sum += loss(outputs[i][c], targets[i][c]);
  }
  return sum / static_cast<double>(targets.size());
}

std::vector<double> naive_mean(const Matrix& rows) {
  std::vector<double> mean(rows.front().size());
  for (const auto& row : rows) {
    for (std::size_t c = 0; c < mean.size(); ++c) {
      mean[c] += row[c] / static_cast<double>(rows.size());
    }
  }
  return mean;
}

/// Eigenvectors of a symmetric matrix as rows, largest eigenvalue first, by Jacobi's rotations.
Matrix jacobi_eigenvectors(Matrix a) {
  const std::size_t n = a.size();
  Matrix v(n, std::vector<double>(n));
  for (std::size_t i = 0; i < n; ++i) v[i][i] = 1;
  for (int sweep = 0; sweep < 12; ++sweep) {
    for (std::size_t p = 0; p < n; ++p) {
      for (std::size_t q = p + 1; q < n; ++q) {
        if (a[p][q] == 0) continue;
        const double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
        const double t =
            (theta < 0 ? -1.0 : 1.0) / (std::abs(theta) + std::sqrt(theta * theta + 1));
        const double c = 1 / std::sqrt(t * t + 1);
        const double s = t * c;
        for (std::size_t k = 0; k < n; ++k) {
          const double kp = a[k][p];
          a[k][p] = c * kp - s * a[k][q];
          a[k][q] = s * kp + c * a[k][q];
        }
        for (std::size_t k = 0; k < n; ++k) {
          const double pk = a[p][k];
          a[p][k] = c * pk - s * a[q][k];
          a[q][k] = s * pk + c * a[q][k];
          const double vp = v[p][k];
          v[p][k] = c * vp - s * v[q][k];
          v[q][k] = s * vp + c * v[q][k];
        }
      }
    }
  }
  std::vector<std::size_t> order(n);
  for (std::size_t i = 0; i < n; ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](std::size_t i, std::size_t j) { return a[i][i] > a[j][j]; });
  Matrix sorted;
  for (const std::size_t i : order) sorted.push_back(v[i]);
  return sorted;
}

/// The rows of `targets` as PCA of `training` gives them back.
Matrix naive_pca(const Matrix& training, const Matrix& targets, int components) {
  const std::vector<double> mean = naive_mean(training);
  const std::size_t n = mean.size();
  Matrix covariance(n, std::vector<double>(n));
  for (const auto& row : training) {
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        covariance[i][j] += (row[i] - mean[i]) * (row[j] - mean[j]);
      }
    }
  }
  const Matrix directions = jacobi_eigenvectors(covariance);
  Matrix outputs(targets.size(), mean);
  for (std::size_t i = 0; i < targets.size(); ++i) {
    for (std::size_t k = 0; k < static_cast<std::size_t>(components); ++k) {
      double code = 0;
      for (std::size_t c = 0; c < n; ++c) code += directions[k][c] * (targets[i][c] - mean[c]);
      for (std::size_t c = 0; c < n; ++c) outputs[i][c] += code * directions[k][c];
    }
  }
  return outputs;
}

Baselines compute(const Dataset& training, const Dataset& test, Loss loss, Reduction reduction,
                  int components) {
  const TemporaryFolder cache;
  return compute_baselines(training, test, loss, reduction, components, cache.path());
}

// ── Floor and mean image ────────────────────────────────────────────────────────────────────────

TEST(Baselines, FloorIsTheMeanEntropyOfTheTargets) {
  const Dataset training = sample_floats(10, 9, 1);
  const Dataset floats = sample_floats(40, 9, 2);
  for (const Dataset& test : {floats, as_bytes(floats)}) {
    double per_row = 0;
    for (const auto& row : rows_of(test)) {
      for (const double t : row) per_row += naive_entropy(t) / 40;
    }
    EXPECT_NEAR(compute(training, test, Loss::bce, Reduction::sum, 2).floor, per_row, 1e-6);
    EXPECT_NEAR(compute(training, test, Loss::bce, Reduction::mean, 2).floor, per_row / 9, 1e-7);
    EXPECT_EQ(compute(training, test, Loss::mse, Reduction::mean, 2).floor, 0);
  }
}

TEST(Baselines, FloorOfBlackAndWhiteIsZero) {
  const Dataset test("two-valued", {4}, std::vector<std::uint8_t>{0, 255, 255, 0, 255, 0, 0, 0});
  EXPECT_EQ(compute(test, test, Loss::bce, Reduction::mean, 1).floor, 0);
}

TEST(Baselines, MeanImageIsTheLossOfTheTrainingMean) {
  // Column 0 is black in training and white in one test row: the answer 0 is moved to 1e-7.
  std::vector<std::uint8_t> training_bytes = {0, 10, 200, 0, 30, 250, 0, 80, 90};
  std::vector<std::uint8_t> test_bytes = {255, 20, 120, 0, 60, 255};
  const Dataset training("training", {3}, std::move(training_bytes));
  const Dataset test("test", {3}, std::move(test_bytes));
  const Matrix targets = rows_of(test);
  const Matrix answers(targets.size(), naive_mean(rows_of(training)));
  const double bce = naive_loss_per_row(
      answers, targets, [](double y, double t) { return naive_cross_entropy(y, t, 1e-7); });
  const double mse = naive_loss_per_row(answers, targets, naive_squared_error);
  ASSERT_GT(bce, 16.1 / 2);  // -ln 1e-7 is in it
  const auto mean_image = [&](Loss loss, Reduction reduction) {
    return compute(training, test, loss, reduction, 1).mean_image;
  };
  EXPECT_NEAR(mean_image(Loss::bce, Reduction::sum), bce, 1e-5);
  EXPECT_NEAR(mean_image(Loss::bce, Reduction::mean), bce / 3, 1e-5);
  EXPECT_NEAR(mean_image(Loss::mse, Reduction::sum), mse, 1e-6);
  EXPECT_NEAR(mean_image(Loss::mse, Reduction::mean), mse / 3, 1e-6);
}

TEST(Baselines, ClosedGapRunsFromTheMeanToTheFloor) {
  const Baselines baselines{.floor = 0.1, .mean_image = 0.3, .pca = std::nullopt};
  EXPECT_DOUBLE_EQ(closed_gap(baselines, 0.3), 0);
  EXPECT_DOUBLE_EQ(closed_gap(baselines, 0.15), 0.75);
  EXPECT_DOUBLE_EQ(closed_gap(baselines, 0.1), 1);
  EXPECT_DOUBLE_EQ(closed_gap(baselines, 0.5), -1);
  const Baselines constant{.floor = 0.2, .mean_image = 0.2, .pca = std::nullopt};
  EXPECT_TRUE(std::isnan(closed_gap(constant, 0.2)));
  EXPECT_TRUE(std::isnan(closed_gap(constant, 0.3)));
  // What rounding leaves of a gap is none.
  const Baselines rounded{.floor = 0.2, .mean_image = 0.2 + 1e-12, .pca = std::nullopt};
  EXPECT_TRUE(std::isnan(closed_gap(rounded, 0.2)));
  EXPECT_TRUE(std::isnan(closed_gap(baselines, kInfinity)));
  EXPECT_TRUE(std::isnan(closed_gap(baselines, kNaN)));
  EXPECT_EQ(closed_gap(baselines, 0.09999999), 1) << "below the floor by rounding";
}

TEST(Baselines, RowsOfDifferentSizesAreRefused) {
  const std::string message = error_of([] {
    compute(sample_floats(5, 4, 1), sample_floats(5, 3, 1), Loss::mse, Reduction::mean, 1);
  });
  EXPECT_TRUE(says(message, "rows of 4"));
  EXPECT_TRUE(says(message, "rows of 3"));
}

// ── PCA ─────────────────────────────────────────────────────────────────────────────────────────

struct PcaCase {
  std::int64_t columns;
  int components;
};

class PcaBaselineTest : public ::testing::TestWithParam<PcaCase> {};

TEST_P(PcaBaselineTest, AgreesWithJacobi) {
  const auto [columns, components] = GetParam();
  // More rows than are multiplied at a time, and not a multiple of that.
  const Dataset training = sample_floats(1037, columns, 3);
  const Dataset test = sample_floats(50, columns, 4);
  const Matrix targets = rows_of(test);
  const Matrix outputs = naive_pca(rows_of(training), targets, components);
  const double squared_error = naive_loss_per_row(outputs, targets, naive_squared_error);

  const auto mse = compute(training, test, Loss::mse, Reduction::sum, components).pca;
  ASSERT_TRUE(mse);
  EXPECT_EQ(mse->components, components);
  EXPECT_EQ(mse->clip, 0);
  EXPECT_NEAR(mse->squared_error_per_row, squared_error, squared_error * 1e-4 + 1e-12);
  EXPECT_EQ(mse->loss, mse->squared_error_per_row);

  const auto bce = compute(training, test, Loss::bce, Reduction::mean, components).pca;
  ASSERT_TRUE(bce);
  ASSERT_GT(bce->clip, 0);
  ASSERT_LT(bce->clip, 0.5);
  const double cross_entropy =
      naive_loss_per_row(outputs, targets,
                         [&](double y, double t) { return naive_cross_entropy(y, t, bce->clip); }) /
      static_cast<double>(columns);
  EXPECT_NEAR(bce->loss, cross_entropy, cross_entropy * 1e-4);
  EXPECT_NEAR(bce->squared_error_per_row, squared_error, squared_error * 1e-4 + 1e-12);
}

// The first three compute all eigenvectors, the last iterates for few of many.
INSTANTIATE_TEST_SUITE_P(Sizes, PcaBaselineTest,
                         ::testing::Values(PcaCase{1, 1}, PcaCase{5, 2}, PcaCase{33, 6},
                                           PcaCase{150, 2}),
                         [](const auto& test) {
                           return std::to_string(test.param.columns) + "Columns" +
                                  std::to_string(test.param.components) + "Components";
                         });

TEST(PcaBaseline, ClipServesTheTrainingRowsBest) {
  // Far from the middle of [0, 1], so that clipping matters.
  std::mt19937 random(5);
  std::vector<float> values;
  for (int i = 0; i < 300 * 12; ++i) values.push_back(random() % 10 == 0 ? 1.0F : 0.0F);
  const Dataset data("spots", {12}, std::move(values));
  const auto pca = compute(data, data, Loss::bce, Reduction::sum, 6).pca;
  ASSERT_TRUE(pca);
  const Matrix targets = rows_of(data);
  const Matrix outputs = naive_pca(targets, targets, 6);
  const auto loss_with = [&](double clip) {
    return naive_loss_per_row(outputs, targets,
                              [&](double y, double t) { return naive_cross_entropy(y, t, clip); });
  };
  EXPECT_NEAR(pca->loss, loss_with(pca->clip), 1e-3);
  for (const double factor : {0.1, 10.0}) {
    const double other = pca->clip * factor;
    if (other < 0.5) {
      EXPECT_LT(pca->loss, loss_with(other)) << "clip " << other;
    }
  }
}

TEST(PcaBaseline, MoreComponentsThanColumnsLoseNothing) {
  const Dataset data = sample_floats(200, 7, 1);
  const auto pca = compute(data, data, Loss::mse, Reduction::sum, 20).pca;
  ASSERT_TRUE(pca);
  EXPECT_EQ(pca->components, 7);
  EXPECT_LT(pca->squared_error_per_row, 1e-9);
}

TEST(PcaBaseline, MoreComponentsThanRankLoseNothing) {
  const Dataset data = sample_floats(3, 170, 1);  // rank 2 about the mean
  for (const int components : {4, 90}) {
    const auto pca = compute(data, data, Loss::mse, Reduction::sum, components).pca;
    ASSERT_TRUE(pca);
    EXPECT_EQ(pca->components, components);
    EXPECT_LT(pca->squared_error_per_row, 1e-8);
  }
}

TEST(PcaBaseline, ConstantDataAreTheirMean) {
  const Dataset data("constant", {200}, std::vector<float>(200 * 5, 0.25F));
  const Baselines baselines = compute(data, data, Loss::mse, Reduction::sum, 3);
  ASSERT_TRUE(baselines.pca);
  EXPECT_LT(baselines.pca->squared_error_per_row, 1e-10);
  EXPECT_LT(baselines.mean_image, 1e-10);
}

TEST(PcaBaseline, IsLeftOutWhereItWouldTakeMinutes) {
  EXPECT_TRUE(PrincipalComponents::are_affordable(784, 784));
  EXPECT_TRUE(PrincipalComponents::are_affordable(3072, 128));
  EXPECT_FALSE(PrincipalComponents::are_affordable(3072, 1024));
  EXPECT_FALSE(PrincipalComponents::are_affordable(1'000'000, 1));
  const Dataset wide = sample_floats(2, 5000, 1);
  const Baselines baselines = compute(wide, wide, Loss::bce, Reduction::mean, 3);
  EXPECT_FALSE(baselines.pca);
  EXPECT_GT(baselines.mean_image, baselines.floor);
}

TEST(PcaBaseline, IsLeftOutForOneTrainingRow) {
  EXPECT_FALSE(
      compute(sample_floats(1, 4, 1), sample_floats(5, 4, 2), Loss::mse, Reduction::mean, 2).pca);
}

// ── The cache ───────────────────────────────────────────────────────────────────────────────────

class BaselinesCache : public ::testing::Test {
 protected:
  Baselines compute(Loss loss = Loss::bce, Reduction reduction = Reduction::mean,
                    int components = 2) const {
    return compute_baselines(training_, test_, loss, reduction, components, folder_.path());
  }
  /// Its files; there must be `count`.
  std::vector<std::filesystem::path> files(std::size_t count) const {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / "baselines")) {
      paths.push_back(entry.path());
    }
    EXPECT_EQ(paths.size(), count);
    return paths;
  }

  TemporaryFolder folder_;
  Dataset training_ = sample_floats(60, 6, 1);
  Dataset test_ = sample_floats(20, 6, 2);
};

TEST_F(BaselinesCache, IsTakenTheSecondTime) {
  const Baselines computed = compute();
  ASSERT_TRUE(computed.pca);
  const std::filesystem::path file = files(1).front();
  const Baselines cached = compute();
  EXPECT_EQ(cached.floor, computed.floor);
  EXPECT_EQ(cached.mean_image, computed.mean_image);
  ASSERT_TRUE(cached.pca);
  EXPECT_EQ(cached.pca->loss, computed.pca->loss);
  EXPECT_EQ(cached.pca->components, computed.pca->components);
  EXPECT_EQ(cached.pca->clip, computed.pca->clip);
  EXPECT_EQ(cached.pca->squared_error_per_row, computed.pca->squared_error_per_row);
  // Only from the file can this come.
  auto content = nlohmann::json::parse(content_of(file));
  content["floor"] = 0.125;
  content["pca"] = nullptr;
  folder_.write(file, content.dump());
  EXPECT_EQ(compute().floor, 0.125);
  EXPECT_FALSE(compute().pca);
}

TEST_F(BaselinesCache, DamagedIsComputedAnew) {
  const Baselines computed = compute();
  const std::filesystem::path file = files(1).front();
  const std::string good = content_of(file);
  for (const std::string& bad :
       {std::string(), good.substr(0, good.size() / 2), std::string("null"), std::string("[1, 2]"),
        std::string(R"({"floor": "low", "mean_image": 1, "pca": null})"),
        std::string(R"({"floor": 1, "mean_image": 1, "pca": 7})"),
        std::string(R"({"floor": 1, "mean_image": 1, "pca": {"loss": 1}})"),
        std::string("\xff\x00\xfe", 3)}) {
    folder_.write(file, bad);
    EXPECT_EQ(compute().floor, computed.floor) << bad;
    EXPECT_EQ(content_of(file), good) << bad;
  }
}

TEST_F(BaselinesCache, TellsApartWhatDiffers) {
  compute();
  compute(Loss::mse);
  compute(Loss::bce, Reduction::sum);
  compute(Loss::bce, Reduction::mean, 3);
  files(4);
  std::vector<float> values(training_.floats().begin(), training_.floats().end());
  values.back() += 0.001F;
  training_ = Dataset("changed", {6}, std::move(values));
  compute();
  files(5);
  test_ = test_.first(19);
  compute();
  files(6);
}

TEST_F(BaselinesCache, UnwritableIsNoError) {
  const std::filesystem::path file = folder_.write("file", "not a folder");
  const Baselines baselines =
      compute_baselines(training_, test_, Loss::bce, Reduction::mean, 2, file);
  EXPECT_EQ(baselines.floor, compute().floor);
  EXPECT_EQ(content_of(file), "not a folder");
}

// ── Real data ───────────────────────────────────────────────────────────────────────────────────

struct Reference {
  std::string name;
  double floor;
  double mean_image;
  /// Squared error by number of components, as far as it is known.
  std::map<int, double> squared_errors;
};

class ReferenceFigures : public ::testing::TestWithParam<Reference> {};

TEST_P(ReferenceFigures, AreReproduced) {
  const Reference& reference = GetParam();
  TrainTest data;
  try {
    data = load_named(reference.name);
  } catch (const Error& error) {
    GTEST_SKIP() << error.what();
  }
  const TemporaryFolder cache;
  const auto baselines = [&](Loss loss, int components) {
    return compute_baselines(data.train, data.test, loss, Reduction::mean, components,
                             cache.path());
  };
  const Baselines bce = baselines(Loss::bce, 32);
  EXPECT_NEAR(bce.floor, reference.floor, 0.5e-5);
  EXPECT_NEAR(bce.mean_image, reference.mean_image, 0.5e-5);
  ASSERT_TRUE(bce.pca);
  EXPECT_GT(bce.pca->loss, bce.floor);
  EXPECT_LT(bce.pca->loss, bce.mean_image);
  for (const auto& [components, squared_error] : reference.squared_errors) {
    const auto pca = components == 32 ? bce.pca : baselines(Loss::mse, components).pca;
    ASSERT_TRUE(pca);
    EXPECT_NEAR(pca->squared_error_per_row, squared_error, 0.5e-3) << components << " components";
  }
}

INSTANTIATE_TEST_SUITE_P(
    Mnist, ReferenceFigures,
    ::testing::Values(Reference{"mnist", 0.05808, 0.26251, {{30, 13.866}, {32, 13.193}}},
                      Reference{"fashion-mnist", 0.24217, 0.49109, {}}),
    [](const auto& test) { return test.param.name == "mnist" ? "Digits" : "Fashion"; });

// ── The picture ─────────────────────────────────────────────────────────────────────────────────

/// What libpng's simplified reader makes of the bytes.
Image decode_png(const std::vector<std::uint8_t>& bytes) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  Image image;
  if (png_image_begin_read_from_memory(&png, bytes.data(), bytes.size()) == 0) {
    ADD_FAILURE() << static_cast<const char*>(png.message);
    return image;
  }
  EXPECT_EQ(png.format, static_cast<png_uint_32>(PNG_FORMAT_GRAY));
  png.format = PNG_FORMAT_GRAY;
  image.width = static_cast<int>(png.width);
  image.height = static_cast<int>(png.height);
  image.pixels.resize(PNG_IMAGE_SIZE(png));
  EXPECT_NE(png_image_finish_read(&png, nullptr, image.pixels.data(), 0, nullptr), 0);
  return image;
}

struct Box {
  int left = std::numeric_limits<int>::max();
  int top = std::numeric_limits<int>::max();
  int right = -1;  ///< the last column and row, inclusive
  int bottom = -1;
  int pixels = 0;
};

/// Where each grey is found.
std::map<int, Box> boxes_by_grey(const Image& image) {
  std::map<int, Box> boxes;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      Box& box = boxes[image.pixels[static_cast<std::size_t>(y * image.width + x)]];
      box.left = std::min(box.left, x);
      box.top = std::min(box.top, y);
      box.right = std::max(box.right, x);
      box.bottom = std::max(box.bottom, y);
      ++box.pixels;
    }
  }
  return boxes;
}

float grey(int value) {
  return static_cast<float>(value) / 255.0F;
}

/// `count` samples of 2x3, each of one grey: first, first + 1, …
std::vector<float> plain_samples(int count, int first) {
  std::vector<float> values;
  for (int i = 0; i < count; ++i) values.insert(values.end(), 6, grey(first + i));
  return values;
}

TEST(Picture, ExtentsOfGreyImages) {
  const auto extents = [](Shape shape) { return image_extents(shape); };
  EXPECT_EQ(extents({28, 28}), std::pair(28, 28));
  EXPECT_EQ(extents({3, 5}), std::pair(3, 5));
  EXPECT_EQ(extents({1, 3, 5}), std::pair(3, 5));
  EXPECT_EQ(extents({3, 5, 1}), std::pair(3, 5));
  EXPECT_EQ(extents({784}), std::pair(28, 28));
  EXPECT_FALSE(extents({785}));
  EXPECT_FALSE(extents({3, 32, 32}));
  EXPECT_FALSE(extents({32, 32, 3}));
  EXPECT_FALSE(extents({2, 100'000}));
  EXPECT_FALSE(extents({}));
}

TEST(Picture, VectorsAreNoImages) {
  EXPECT_TRUE(is_image({28, 28}));
  EXPECT_TRUE(is_image({3, 5, 1}));
  EXPECT_FALSE(is_image({784}));
  EXPECT_FALSE(is_image({16}));
  EXPECT_FALSE(is_image({1, 16}));
  EXPECT_FALSE(is_image({16, 1}));
  EXPECT_FALSE(is_image({3, 32, 32}));
}

TEST(Picture, OfManyIsAboutSquare) {
  EXPECT_EQ(columns_for({28, 28}, 7, 1), 10);
  EXPECT_EQ(columns_for({28, 28}, 20, 2), 10);
  EXPECT_EQ(columns_for({28, 28}, 10'000, 1), 100);
  EXPECT_EQ(columns_for({28, 28}, 10'000, 2), 142);
  EXPECT_EQ(columns_for({10, 40}, 10'000, 1), 50);
}

TEST(Picture, SetsPairsApart) {
  // Five pairs, three a line: originals in greys 100 …, reconstructions in 200 …
  const Image image =
      reconstruction_grid({2, 3}, plain_samples(5, 100), plain_samples(5, 200), 3, 4);
  auto boxes = boxes_by_grey(decode_png(encode_png(image)));
  ASSERT_EQ(boxes.size(), 11U) << "ten samples and the background";
  for (int i = 0; i < 5; ++i) {
    const Box& original = boxes[100 + i];
    const Box& reconstruction = boxes[200 + i];
    for (const Box& box : {original, reconstruction}) {
      EXPECT_EQ(box.right - box.left + 1, 12);
      EXPECT_EQ(box.bottom - box.top + 1, 8);
      EXPECT_EQ(box.pixels, 12 * 8);
    }
    EXPECT_EQ(original.left, reconstruction.left);
  }
  const int within = boxes[200].top - boxes[100].bottom - 1;
  const int beside = boxes[101].left - boxes[100].right - 1;
  const int below = boxes[103].top - boxes[200].bottom - 1;
  EXPECT_GT(within, 0);
  EXPECT_GT(beside, within);
  EXPECT_GT(below, beside);
  EXPECT_EQ(boxes[103].left, boxes[100].left);
  EXPECT_EQ(boxes[102].top, boxes[100].top);
  // The same margin on all sides.
  EXPECT_EQ(boxes[100].left, beside);
  EXPECT_EQ(boxes[100].top, beside);
  EXPECT_EQ(image.width - 1 - boxes[102].right, beside);
  EXPECT_EQ(image.height - 1 - boxes[203].bottom, beside);
}

TEST(Picture, KeepsPixelsInTheirPlaces) {
  const std::vector<float> sample = {grey(1), grey(2), grey(3), grey(101), grey(102), grey(103)};
  const Image image = decode_png(encode_png(image_grid({2, 3}, sample, 10, 2)));
  auto boxes = boxes_by_grey(image);
  ASSERT_EQ(boxes.size(), 7U);
  for (const int value : {1, 2, 3, 101, 102, 103}) {
    EXPECT_EQ(boxes[value].left, boxes[1].left + 2 * (value % 100 - 1));
    EXPECT_EQ(boxes[value].top, boxes[1].top + 2 * (value / 100));
    EXPECT_EQ(boxes[value].pixels, 4);
  }
}

TEST(Picture, ClipsValues) {
  const std::vector<float> sample = {-0.5F, 2.0F, std::numeric_limits<float>::quiet_NaN(),
                                     std::numeric_limits<float>::infinity()};
  const Image image = image_grid({2, 2}, sample, 1, 1);
  const auto at = [&](int y, int x) {
    const int margin = (image.width - 2) / 2;
    return int{image.pixels[static_cast<std::size_t>((margin + y) * image.width + margin + x)]};
  };
  EXPECT_EQ(at(0, 0), 0);
  EXPECT_EQ(at(0, 1), 255);
  EXPECT_EQ(at(1, 0), 0);
  EXPECT_EQ(at(1, 1), 255);
}

TEST(Picture, OfNothingIsBackground) {
  const Image image = image_grid({2, 3}, {}, 10, 2);
  EXPECT_EQ(boxes_by_grey(decode_png(encode_png(image))).size(), 1U);
}

TEST(Picture, RefusesWhatIsNoGreyImageOrTooLarge) {
  const std::vector<float> colours(3 * 4 * 4);
  EXPECT_TRUE(says(error_of([&] { image_grid({3, 4, 4}, colours, 1, 1); }), "3x4x4"));
  const std::vector<float> sample(64 * 64);
  EXPECT_TRUE(says(error_of([&] { image_grid({64, 64}, sample, 1, 1 << 20); }), "too large"));
  EXPECT_TRUE(says(error_of([] { encode_png(Image{}); }), "libpng"));
}

TEST(Picture, SameImageSameBytes) {
  const Image image = image_grid({2, 3}, plain_samples(3, 50), 2, 3);
  const std::vector<std::uint8_t> bytes = encode_png(image);
  EXPECT_EQ(bytes, encode_png(image));
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()).find("tIME"), std::string::npos);
  const TemporaryFolder folder;
  write_png(image, folder / "picture.png");
  EXPECT_EQ(content_of(folder / "picture.png"), std::string(bytes.begin(), bytes.end()));
  EXPECT_EQ(folder.entries(), 1);
  error_of([&] { write_png(image, folder / "missing" / "picture.png"); });
}

// ── Text ────────────────────────────────────────────────────────────────────────────────────────

TEST(Html, Escapes) {
  EXPECT_EQ(escape_html("<script>a && 'b' \"c\"</script>"),
            "&lt;script&gt;a &amp;&amp; &#39;b&#39; &quot;c&quot;&lt;/script&gt;");
  EXPECT_EQ(escape_html("784 → 32"), "784 → 32");
}

TEST(Html, Base64OfRfc4648) {
  const std::map<std::string, std::string> vectors = {{"", ""},
                                                      {"f", "Zg=="},
                                                      {"fo", "Zm8="},
                                                      {"foo", "Zm9v"},
                                                      {"foob", "Zm9vYg=="},
                                                      {"fooba", "Zm9vYmE="},
                                                      {"foobar", "Zm9vYmFy"}};
  for (const auto& [text, encoded] : vectors) {
    EXPECT_EQ(encode_base64(std::vector<std::uint8_t>(text.begin(), text.end())), encoded);
  }
  EXPECT_EQ(encode_base64(std::vector<std::uint8_t>{0xfb, 0xff, 0x00}), "+/8A");
}

TEST(Html, FormatsNumbers) {
  EXPECT_EQ(format_percent(0.8358), "83.6 %");
  EXPECT_EQ(format_percent(0.957, 0), "96 %");
  EXPECT_EQ(format_fixed(1.25, 1), "1.2");
  EXPECT_EQ(format_rate(480'000.4), "480,000");
  for (const double none : {kNaN, kInfinity, -kInfinity}) {
    EXPECT_EQ(format_percent(none), "–");
    EXPECT_EQ(format_fixed(none, 2), "–");
    EXPECT_EQ(format_rate(none), "–");
  }
  EXPECT_EQ(format_loss(0.26251), "0.2625");
  EXPECT_EQ(format_loss(0.09158), "0.0916");
  EXPECT_EQ(format_loss(0.0012345), "0.00123");
  EXPECT_EQ(format_loss(13.8664), "13.87");
  EXPECT_EQ(format_loss(-0.5), "-0.5000");
  EXPECT_EQ(format_loss(123456), "123456");
  EXPECT_EQ(format_loss(1.5e9), "1.5e+09");
  EXPECT_EQ(format_loss(2.5e-9), "2.5e-09");
  EXPECT_EQ(format_loss(0), "0");
  EXPECT_EQ(format_loss(kNaN), "–");
  EXPECT_EQ(format_loss(kInfinity), "∞");
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1000), "1,000");
  EXPECT_EQ(format_count(1'234'567), "1,234,567");
  EXPECT_EQ(format_count(-123'456), "-123,456");
}

// ── The report ──────────────────────────────────────────────────────────────────────────────────

std::vector<EpochResult> falling_losses(int epochs) {
  std::vector<EpochResult> results;
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    results.push_back({.epoch = epoch,
                       .train_loss = 0.093 + 0.18 * std::exp(-0.5 * (epoch - 1)),
                       .validation_loss = 0.0917 + 0.1 * std::exp(-0.5 * (epoch - 1)),
                       .seconds = 0.125,
                       .samples_per_second = 480'000});
  }
  return results;
}

Report full_report() {
  Report report;
  report.title = "mnist · 784 → 32 → 784";
  report.data = "60,000 training rows and 10,000 test rows of 28x28";
  report.loss_name = "binary cross-entropy, mean over all elements";
  report.epochs = falling_losses(50);
  report.test_loss = 0.0917;
  report.test_squared_error_per_row = 7.595;
  report.baselines = Baselines{
      .floor = 0.05808,
      .mean_image = 0.26251,
      .pca = PcaBaseline{
          .components = 32, .loss = 0.1157, .clip = 0.0005, .squared_error_per_row = 13.193}};
  report.reconstructions = image_grid({2, 3}, plain_samples(2, 50), 2, 3);
  report.seconds = 6.3;
  report.configuration = {{"epochs", "50"}, {"parameters", "50,992"}};
  report.machine = {{"device", "cpu"}, {"", "a processor"}};
  return report;
}

std::string html_of(const Report& report) {
  const TemporaryFolder folder;
  write_report(report, folder / "report.html");
  EXPECT_EQ(folder.entries(), 1);
  return content_of(folder / "report.html");
}

/// Each tag that is opened is closed, in the right order, and no id is given twice.
void expect_well_formed(const std::string& html) {
  const std::set<std::string> childless = {"!doctype", "meta", "img"};
  std::vector<std::string> open;
  std::set<std::string> ids;
  for (std::size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at + 1)) {
    const std::size_t end = html.find_first_of("<>", at + 1);
    ASSERT_TRUE(end != std::string::npos && html[end] == '>') << html.substr(at, 40);
    const std::string tag = html.substr(at + 1, end - at - 1);
    const std::string name = tag.substr(0, tag.find_first_of(" \n/", 1));
    ASSERT_FALSE(name.empty()) << html.substr(at, 40);
    if (const std::size_t id = tag.find(" id=\""); id != std::string::npos) {
      const std::string value = tag.substr(id + 5, tag.find('"', id + 5) - id - 5);
      EXPECT_TRUE(ids.insert(value).second) << "id " << value << " is given twice";
    }
    if (name.front() == '/') {
      ASSERT_FALSE(open.empty()) << "<" << name << "> without a beginning";
      EXPECT_EQ("/" + open.back(), name);
      open.pop_back();
    } else if (tag.back() != '/' && !childless.contains(name)) {
      open.push_back(name);
    }
  }
  EXPECT_TRUE(open.empty()) << open.back() << " is not closed";
}

/// No number that is none, in text or in a drawing.
void expect_finite(const std::string& html) {
  const std::size_t picture = html.find("base64,");
  const std::size_t picture_end = picture == std::string::npos ? picture : html.find('"', picture);
  const auto is_letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; };
  for (const std::string word : {"nan", "inf"}) {
    for (std::size_t at = html.find(word); at != std::string::npos; at = html.find(word, at + 1)) {
      if (at > picture && at < picture_end) continue;
      EXPECT_TRUE(is_letter(html[at - 1]) || is_letter(html[at + word.size()]))
          << html.substr(at - 30, 60);
    }
  }
}

TEST(ReportHtml, SaysWhatTheLossIsWorth) {
  const std::string html = html_of(full_report());
  EXPECT_TRUE(says(html, "<title>mnist · 784 → 32 → 784</title>"));
  EXPECT_TRUE(says(html, "Test loss <b>0.0917</b>"));
  EXPECT_TRUE(says(html, "would reach <b>0.0581</b>"));
  EXPECT_TRUE(says(html, "gives <b>0.2625</b>"));
  EXPECT_TRUE(says(html, "83.6&#8239;%"));
  EXPECT_TRUE(says(html, "with 32 components it reaches 0.1157"));
  EXPECT_TRUE(says(html, "Why is the loss not zero?"));
  EXPECT_TRUE(says(html, "480,000"));
  EXPECT_TRUE(says(html, "50,992"));
  EXPECT_TRUE(says(html, "Trained in 6.3 seconds"));
  EXPECT_EQ(html.find("interrupted"), std::string::npos);
  expect_well_formed(html);
  expect_finite(html);
}

TEST(ReportHtml, LoadsNothing) {
  const std::string html = html_of(full_report());
  for (const char* part : {"http:", "https:", "//www", "<script", "<link", "<iframe", "url(",
                           "@import", "@font-face", "href="}) {
    EXPECT_EQ(html.find(part), std::string::npos) << part;
  }
  const std::regex source("src=\"([^\"]{0,22})");
  std::size_t sources = 0;
  for (std::sregex_iterator match(html.begin(), html.end(), source), end; match != end; ++match) {
    EXPECT_EQ((*match)[1], "data:image/png;base64,");
    ++sources;
  }
  EXPECT_EQ(sources, 1U);
  EXPECT_TRUE(says(html, "default-src 'none'"));
}

TEST(ReportHtml, CarriesThePicture) {
  const Report report = full_report();
  EXPECT_TRUE(says(html_of(report), encode_base64(encode_png(*report.reconstructions))));
}

TEST(ReportHtml, EscapesAllText) {
  const std::string evil = "<script>alert('x')</script>&\"";
  Report report = full_report();
  report.title = report.data = report.loss_name = evil;
  report.configuration = {{evil, evil}};
  report.machine = {{evil, evil}};
  const std::string html = html_of(report);
  EXPECT_EQ(html.find("<script"), std::string::npos);
  std::size_t escaped = 0;
  const std::string expected = escape_html(evil);
  for (std::size_t at = html.find(expected); at != std::string::npos;
       at = html.find(expected, at + 1)) {
    ++escaped;
  }
  EXPECT_EQ(escaped, 8U) << "title, heading, data, loss, two pairs";
  expect_well_formed(html);
}

TEST(ReportHtml, EdgeCasesAreWellFormed) {
  const std::map<std::string, std::function<void(Report&)>> cases = {
      {"nothing at all",
       [](Report& report) {
         report = Report{};
         report.test_loss = kNaN;
       }},
      {"interrupted before the first epoch",
       [](Report& report) {
         report.epochs.clear();
         report.interrupted = true;
       }},
      {"one epoch", [](Report& report) { report.epochs = falling_losses(1); }},
      {"two epochs", [](Report& report) { report.epochs = falling_losses(2); }},
      {"a thousand epochs", [](Report& report) { report.epochs = falling_losses(1000); }},
      {"no test rows",
       [](Report& report) {
         report.test_loss = kNaN;
         report.baselines.reset();
         for (EpochResult& epoch : report.epochs) epoch.validation_loss = kNaN;
       }},
      {"a loss that is none, in one epoch",
       [](Report& report) {
         report.epochs[3].train_loss = kNaN;
         report.epochs[4].validation_loss = kInfinity;
       }},
      {"no finite loss",
       [](Report& report) {
         for (EpochResult& epoch : report.epochs) epoch.train_loss = epoch.validation_loss = kNaN;
       }},
      {"worse than the mean", [](Report& report) { report.test_loss = 0.4; }},
      {"a mean that is perfect",
       [](Report& report) { report.baselines->mean_image = report.baselines->floor; }},
      {"all zero",
       [](Report& report) {
         report.test_loss = 0;
         report.baselines = Baselines{};
         for (EpochResult& epoch : report.epochs) epoch.train_loss = epoch.validation_loss = 0;
       }},
      {"no PCA", [](Report& report) { report.baselines->pca.reset(); }},
      {"no picture", [](Report& report) { report.reconstructions.reset(); }},
      {"rows as lines",
       [](Report& report) {
         report.reconstructions.reset();
         report.row_lines = DrawnRows{3, {0, 1, kNaNF, 1, 1, 1}, {0, 2, 1, 1, -1, 1}};
       }},
      {"rows of one value, all the same",
       [](Report& report) {
         report.reconstructions.reset();
         report.row_lines = DrawnRows{1, {2, 2}, {2, 2}};
       }},
      {"rows of nothing finite",
       [](Report& report) {
         report.reconstructions.reset();
         report.row_lines = DrawnRows{2, {kNaNF, kNaNF}, {}};
       }},
      {"a variational model",
       [](Report& report) {
         report.variational = VariationalParts{.reconstruction = 81, .kl = 25, .beta = 1};
         report.samples = report.reconstructions;
         for (EpochResult& epoch : report.epochs) epoch.train_kl = 25;
       }},
      {"epochs that took no time",
       [](Report& report) {
         for (EpochResult& epoch : report.epochs) {
           epoch.seconds = 0;
           epoch.samples_per_second = kInfinity;
         }
       }},
      {"huge losses",
       [](Report& report) {
         for (EpochResult& epoch : report.epochs) epoch.train_loss *= 1e12;
       }},
  };
  for (const auto& [name, change] : cases) {
    SCOPED_TRACE(name);
    Report report = full_report();
    change(report);
    const std::string html = html_of(report);
    expect_well_formed(html);
    expect_finite(html);
  }
}

TEST(ReportHtml, SaysWhatIsMissing) {
  Report report = full_report();
  report.interrupted = true;
  report.epochs = falling_losses(1);
  EXPECT_TRUE(says(html_of(report), "interrupted after 1 finished epoch;"));
  report.epochs.clear();
  report.test_loss = kNaN;
  EXPECT_TRUE(says(html_of(report), "No epoch was finished"));
  report = full_report();
  report.test_loss = kNaN;
  report.baselines.reset();
  EXPECT_TRUE(says(html_of(report), "no held-out rows"));
  report = full_report();
  report.test_loss = 0.4;
  report.baselines->pca.reset();
  EXPECT_TRUE(says(html_of(report), "worse than that"));
  EXPECT_TRUE(says(html_of(report), "too wide for it"));
}

TEST(ReportHtml, GapsThatAreNoneAreSaidInWords) {
  Report report = full_report();
  report.baselines->mean_image = report.baselines->floor + 1e-17;
  const std::string html = html_of(report);
  EXPECT_TRUE(says(html, "no gap between the two"));
  EXPECT_EQ(html.find("of that gap"), std::string::npos);
}

TEST(ReportHtml, PcaWithAllComponentsIsNoMeasure) {
  Report report = full_report();
  report.row_size = 32;
  const std::string html = html_of(report);
  EXPECT_TRUE(says(html, "as many numbers as a row has values, 32"));
  EXPECT_EQ(html.find("PCA (32)"), std::string::npos);
  EXPECT_EQ(html.find("it reaches"), std::string::npos);
  report.row_size = 33;
  EXPECT_TRUE(says(html_of(report), "PCA (32)"));
}

TEST(ReportHtml, TellsThePartsOfAVariationalLoss) {
  Report report = full_report();
  report.test_loss = 106.8;
  report.baselines.reset();
  report.row_size = 784;
  report.variational = VariationalParts{.reconstruction = 81.7, .kl = 25.1, .beta = 4};
  report.samples = image_grid({2, 3}, plain_samples(2, 90), 2, 3);
  for (EpochResult& epoch : report.epochs) epoch.train_kl = 24.57;
  std::string html = html_of(report);
  EXPECT_TRUE(says(html, "reconstruction, <b>81.70</b>"));
  EXPECT_TRUE(says(html, "&beta; = 4 times"));
  EXPECT_TRUE(says(html, "<b>25.10</b> nats a sample."));
  EXPECT_TRUE(says(html, "Samples from the prior"));
  EXPECT_TRUE(says(html, encode_base64(encode_png(*report.samples))));
  EXPECT_TRUE(says(html, "<th scope=\"col\">Training KL</th>"));
  EXPECT_TRUE(says(html, "<td>24.57</td>"));
  report.variational->is_mean = true;
  EXPECT_TRUE(says(html_of(report), "divided by the 784 values of a sample"));
  html = html_of(full_report());
  EXPECT_EQ(html.find("KL"), std::string::npos);
  EXPECT_EQ(html.find("prior"), std::string::npos);
}

TEST(ReportHtml, TellsThePenaltyOfASparseCode) {
  Report report = full_report();
  EXPECT_EQ(html_of(report).find("enalty"), std::string::npos);
  for (EpochResult& epoch : report.epochs) epoch.penalty = 0.00412;
  const std::string html = html_of(report);
  EXPECT_TRUE(says(html, "a penalty of <b>0.00412</b>"));
  EXPECT_TRUE(says(html, "<th scope=\"col\">Penalty</th>"));
  EXPECT_TRUE(says(html, "<td>0.00412</td>"));
}

TEST(ReportHtml, DrawsVectorsAsLines) {
  Report report = full_report();
  report.reconstructions.reset();
  report.row_lines = DrawnRows{3, {0, 1, 2, 2, 2, 2}, {0, 0, 0, 4, 4, 4}};
  const std::string html = html_of(report);
  EXPECT_EQ(html.find("data:image/png"), std::string::npos);
  EXPECT_TRUE(says(html, "<path class=\"original\" d=\"M0.0 100.0L200.0 75.0L400.0 50.0\"/>"));
  EXPECT_TRUE(says(html, "<path class=\"reconstruction\" d=\"M0.0 0.0L200.0 0.0L400.0 0.0\"/>"));
  EXPECT_TRUE(says(html, "from 0 at the bottom to 4.000 at the top"));
}

TEST(ReportHtml, SquaredErrorHasNothingToExplain) {
  Report report = full_report();
  report.baselines->floor = 0;
  report.baselines->pca->clip = 0;
  const std::string html = html_of(report);
  EXPECT_EQ(html.find("Why is the loss not zero?"), std::string::npos);
  EXPECT_EQ(html.find("clipped"), std::string::npos);
  EXPECT_EQ(html.find("dotted part"), std::string::npos);
}

TEST(ReportHtml, UnwritableFolderIsAnError) {
  const TemporaryFolder folder;
  EXPECT_TRUE(says(error_of([&] { write_report(full_report(), folder / "no" / "report.html"); }),
                   "report.html"));
}

/// All that a regular expression's groups catch, in order.
std::vector<std::vector<std::string>> find_all(const std::string& text, const std::string& regex) {
  const std::regex compiled(regex);
  std::vector<std::vector<std::string>> found;
  for (std::sregex_iterator match(text.begin(), text.end(), compiled), end; match != end; ++match) {
    found.emplace_back(std::next(match->begin()), match->end());
  }
  return found;
}

TEST(ReportHtml, LabelsOfTheScaleNeverMeet) {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> uniform(0.01, 1.0);
  for (int trial = 0; trial < 40; ++trial) {
    Report report = full_report();
    report.baselines->floor = trial % 4 == 0 ? 0.5 : uniform(random);
    report.baselines->mean_image = trial % 4 == 0 ? 0.5 : uniform(random);
    report.baselines->pca->loss = uniform(random);
    report.test_loss = uniform(random);
    const double largest = std::max({report.baselines->floor, report.baselines->mean_image,
                                     report.baselines->pca->loss, report.test_loss});
    const auto marks = find_all(html_of(report),
                                "class=\"mark [a-z]* (above|below)\" "
                                "style=\"(left|right):([0-9.]+)%;height:([0-9.]+)rem\"><span><b>"
                                "([0-9.]+)</b>");
    ASSERT_EQ(marks.size(), 4U);
    double height_below = kInfinity;
    double height_above = 0;
    for (const auto& mark : marks) {  // from left to right
      const double offset = std::stod(mark[2]);
      const double height = std::stod(mark[3]);
      EXPECT_LE(offset, 50) << "a label has half the line's width";
      const double position = mark[1] == "left" ? offset : 100 - offset;
      EXPECT_NEAR(position, 100 * std::stod(mark[4]) / largest, 0.1) << "not to scale";
      if (mark[0] == "below") {
        EXPECT_EQ(mark[1], "left");
        EXPECT_GE(height_below - height, 1.4);
        height_below = height;
      } else {
        EXPECT_EQ(mark[1], "right");
        EXPECT_GE(height - height_above, 1.4);
        height_above = height;
      }
    }
  }
}

TEST(ReportHtml, LabelsOfTheChartNeverMeet) {
  std::mt19937 random(2);
  std::uniform_real_distribution<double> uniform(0.06, 0.3);
  for (int trial = 0; trial < 40; ++trial) {
    Report report = full_report();
    report.epochs.back().train_loss = uniform(random);
    report.epochs.back().validation_loss =
        trial % 2 == 0 ? report.epochs.back().train_loss : uniform(random);
    if (trial % 4 == 0) report.baselines->floor = report.epochs.back().train_loss;
    if (trial % 4 == 1) {  // all at the bottom
      report.baselines->floor = 0.05;
      report.epochs.back().train_loss = report.epochs.back().validation_loss = 0.0501;
    }
    const auto labels =
        find_all(html_of(report), "class=\"end ([a-z]+)\" style=\"top:([0-9.]+)%\"");
    ASSERT_EQ(labels.size(), 3U);
    double previous = -kInfinity;
    for (const auto& label : labels) {  // from the top
      const double top = std::stod(label[1]);
      EXPECT_GE(top - previous, 5.9);
      EXPECT_GE(top, 0);
      EXPECT_LE(top, 100);
      previous = top;
    }
  }
}

TEST(ReportHtml, CurvesGoThroughEveryEpoch) {
  const std::string html = html_of(full_report());
  const auto curves = find_all(html, "<path class=\"curve ([a-z]+)\" d=\"([^\"]*)\"");
  ASSERT_EQ(curves.size(), 2U);
  for (const auto& curve : curves) {
    const auto points = find_all(curve[1], "[ML]([0-9.]+) ([0-9.]+)");
    ASSERT_EQ(points.size(), 50U);
    EXPECT_EQ(points.front()[0], "0.0");
    EXPECT_EQ(points.back()[0], "1000.0");
    // 0.05 to 0.30 from bottom to top.
    const double first_loss = curve[0] == "train" ? 0.273 : 0.1917;
    EXPECT_NEAR(std::stod(points.front()[1]), 1000 * (0.30 - first_loss) / 0.25, 0.1);
  }
  EXPECT_TRUE(says(html, "<line class=\"floor\" x1=\"0\" x2=\"1000\" y1=\"967.7\" y2=\"967.7\"/>"));
}

}  // namespace
}  // namespace ae::report
