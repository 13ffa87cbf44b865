// The report's numbers against naive sums in double, its picture pixel by pixel, its page for what
// must and must not be in it.

#include "report/report.hpp"

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <png.h>

#include "ae/dataset.hpp"

#include "error_message.hpp"
#include "report/baselines.hpp"
#include "report/html.hpp"
#include "report/image_grid.hpp"
#include "report/principal_components.hpp"
#include "temporary_folder.hpp"

namespace ae::test {
namespace {

using namespace ae::report;  // NOLINT(google-build-using-namespace): what this file is about

/// Grey rows on a few directions with noise: data in which PCA has something to find.
Dataset rows_of_bytes(std::int64_t rows, std::int64_t cols, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::uint8_t> values;
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto strength = random() % 200;
    for (std::int64_t col = 0; col < cols; ++col) {
      values.push_back(static_cast<std::uint8_t>(col % 3 == 0 ? strength : random() % 56));
    }
  }
  return {"rows", {cols}, std::move(values)};
}

double value_at(const Dataset& data, std::int64_t row, std::int64_t col) {
  return static_cast<double>(data.bytes()[static_cast<std::size_t>(row * data.row_size() + col)]) /
         255.0;
}

TEST(BaselinesTest, FloorAndMeanImageAreTheNaiveSums) {
  const Dataset train = rows_of_bytes(211, 7, 1);
  const Dataset test = rows_of_bytes(57, 7, 2);
  double entropy = 0;
  double mean_bce = 0;
  double mean_mse = 0;
  for (std::int64_t col = 0; col < 7; ++col) {
    double mean = 0;
    for (std::int64_t row = 0; row < 211; ++row) mean += value_at(train, row, col) / 211;
    for (std::int64_t row = 0; row < 57; ++row) {
      const double t = value_at(test, row, col);
      if (t > 0 && t < 1) entropy -= t * std::log(t) + (1 - t) * std::log(1 - t);
      mean_bce -= t * std::log(mean) + (1 - t) * std::log(1 - mean);
      mean_mse += (t - mean) * (t - mean);
    }
  }
  const TemporaryFolder cache;
  const Baselines bce = compute_baselines(train, test, Loss::bce, Reduction::mean, 2, cache.path());
  EXPECT_NEAR(bce.floor, entropy / (57 * 7), 1e-12);
  EXPECT_NEAR(bce.mean_image, mean_bce / (57 * 7), 1e-7);
  const Baselines mse = compute_baselines(train, test, Loss::mse, Reduction::sum, 2, cache.path());
  EXPECT_EQ(mse.floor, 0.0);
  EXPECT_NEAR(mse.mean_image, mean_mse / 57, 1e-6);
  EXPECT_EQ(mse.clip, 0.0);
}

/// The first component by power iteration on a covariance of naive sums.
TEST(BaselinesTest, PrincipalComponentIsTheOneOfPowerIteration) {
  const std::int64_t rows = 300;
  constexpr std::int64_t kCols = 9;
  const Dataset data = rows_of_bytes(rows, kCols, 5);
  std::vector<double> mean(kCols);
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t col = 0; col < kCols; ++col) {
      mean[static_cast<std::size_t>(col)] += value_at(data, row, col) / static_cast<double>(rows);
    }
  }
  const auto centred = [&](std::int64_t row, std::int64_t col) {
    return value_at(data, row, col) - mean[static_cast<std::size_t>(col)];
  };
  std::vector<double> direction(kCols, 1.0);
  for (int round = 0; round < 500; ++round) {
    std::vector<double> next(kCols);
    for (std::int64_t row = 0; row < rows; ++row) {
      double along = 0;
      for (std::int64_t col = 0; col < kCols; ++col) {
        along += centred(row, col) * direction[static_cast<std::size_t>(col)];
      }
      for (std::int64_t col = 0; col < kCols; ++col) {
        next[static_cast<std::size_t>(col)] += along * centred(row, col);
      }
    }
    double length = 0;
    for (const double value : next) length += value * value;
    for (std::size_t col = 0; col < next.size(); ++col)
      direction[col] = next[col] / std::sqrt(length);
  }
  double squared_error = 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    double along = 0;
    for (std::int64_t col = 0; col < kCols; ++col) {
      along += centred(row, col) * direction[static_cast<std::size_t>(col)];
    }
    for (std::int64_t col = 0; col < kCols; ++col) {
      const double error = centred(row, col) - along * direction[static_cast<std::size_t>(col)];
      squared_error += error * error;
    }
  }
  const TemporaryFolder cache;
  const Baselines baselines =
      compute_baselines(data, data, Loss::mse, Reduction::sum, 1, cache.path());
  EXPECT_EQ(baselines.components, 1);
  EXPECT_NEAR(baselines.pca_squared_error_per_row, squared_error / static_cast<double>(rows), 1e-6);
  EXPECT_EQ(baselines.pca, baselines.pca_squared_error_per_row);
}

TEST(BaselinesTest, AsManyComponentsAsColumnsLoseNothing) {
  const Dataset data = rows_of_bytes(100, 6, 3);
  const TemporaryFolder cache;
  const Baselines baselines =
      compute_baselines(data, data, Loss::mse, Reduction::mean, 99, cache.path());
  EXPECT_EQ(baselines.components, 6);
  EXPECT_NEAR(baselines.pca, 0.0, 1e-10);
}

TEST(BaselinesTest, CacheIsUsedAndDamageIsComputedAnew) {
  const Dataset data = rows_of_bytes(100, 6, 3);
  const Dataset other = rows_of_bytes(100, 6, 4);
  const TemporaryFolder cache;
  const auto compute = [&](const Dataset& train) {
    return compute_baselines(train, data, Loss::bce, Reduction::mean, 2, cache.path()).mean_image;
  };
  const double right = compute(data);
  const auto files = std::filesystem::directory_iterator(cache / "baselines");
  const std::filesystem::path file = files->path();
  const std::string content = content_of(file);
  std::string changed = content;
  changed.replace(changed.find("\"mean_image\":") + 13, 3, "9.5");
  cache.write(file, changed);
  EXPECT_NEAR(compute(data), 9.5, 0.1);  // what the cache says
  EXPECT_NE(compute(other), right);      // other data, another entry
  for (const char* damage : {"", "{", "[]", "{\"floor\":1}", "{\"floor\":\"x\"}"}) {
    cache.write(file, damage);
    EXPECT_EQ(compute(data), right);
  }
  EXPECT_EQ(compute_baselines(data, data, Loss::bce, Reduction::mean, 2, "/dev/null/no").mean_image,
            right);
}

TEST(BaselinesTest, ClosedGapGoesFromTheMeanImageToTheFloor) {
  const Baselines baselines{.floor = 0.1, .mean_image = 0.3};
  EXPECT_DOUBLE_EQ(closed_gap(baselines, 0.3), 0);
  EXPECT_DOUBLE_EQ(closed_gap(baselines, 0.1), 1);
  EXPECT_DOUBLE_EQ(closed_gap(baselines, 0.25), 0.25);
}

/// Figures computed elsewhere, and for PCA published: Hinton & Salakhutdinov's 13.87 with 30.
TEST(BaselinesTest, RealDigitsHaveTheKnownFigures) {
  std::optional<TrainTest> mnist;
  try {
    mnist = load_named("mnist");
  } catch (const Error& error) {
    GTEST_SKIP() << error.what();
  }
  const TemporaryFolder cache;
  const Baselines baselines =
      compute_baselines(mnist->train, mnist->test, Loss::bce, Reduction::mean, 32, cache.path());
  EXPECT_NEAR(baselines.floor, 0.05808, 5e-6);
  EXPECT_NEAR(baselines.mean_image, 0.26251, 5e-6);
  EXPECT_NEAR(baselines.pca_squared_error_per_row, 13.193, 5e-4);
}

Image decode_png(const std::vector<std::uint8_t>& bytes) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  EXPECT_NE(png_image_begin_read_from_memory(&png, bytes.data(), bytes.size()), 0);
  png.format = PNG_FORMAT_GRAY;
  Image image{static_cast<int>(png.width), static_cast<int>(png.height),
              std::vector<std::uint8_t>(PNG_IMAGE_SIZE(png))};
  EXPECT_NE(png_image_finish_read(&png, nullptr, image.pixels.data(), 0, nullptr), 0);
  return image;
}

TEST(ImageGridTest, PixelsAreWhereTheyBelong) {
  const std::vector<float> originals = {0.0F, 1.0F, 0.2F, 0.4F};
  const std::vector<float> outputs = {2.0F, -1.0F, std::numeric_limits<float>::quiet_NaN(), 0.6F};
  // Two pairs of 1x2 images, one a line, three pixels for one.
  const Image image = decode_png(encode_png(reconstruction_grid({1, 2}, originals, outputs, 1, 3)));
  const auto at = [&](int x, int y) {
    return static_cast<int>(image.pixels[static_cast<std::size_t>(y * image.width + x)]);
  };
  const int gutter = 6;
  const int hairline = 2;
  ASSERT_EQ(image.width, 2 * gutter + 6);
  ASSERT_EQ(image.height, 3 * gutter + 2 * (3 + hairline + 3));
  const int background = at(0, 0);
  EXPECT_EQ(at(gutter, gutter), 0);
  EXPECT_EQ(at(gutter + 2, gutter + 2), 0);
  EXPECT_EQ(at(gutter + 3, gutter), 255);
  EXPECT_EQ(at(gutter + 6, gutter), background);
  EXPECT_EQ(at(gutter, gutter + 3), background);
  const int below = gutter + 3 + hairline;
  EXPECT_EQ(at(gutter, below), 255);    // 2 is clipped
  EXPECT_EQ(at(gutter + 3, below), 0);  // so is -1
  const int second = gutter + 8 + gutter;
  EXPECT_EQ(at(gutter, second), 51);
  EXPECT_EQ(at(gutter + 3, second), 102);
  EXPECT_EQ(at(gutter, second + 5), 0);  // NaN is black
  EXPECT_EQ(at(gutter + 3, second + 5), 153);
}

TEST(ImageGridTest, KnowsWhatIsAnImage) {
  EXPECT_EQ(image_extents({28, 20}), std::pair(28, 20));
  EXPECT_EQ(image_extents({1, 28, 20}), std::pair(28, 20));
  EXPECT_EQ(image_extents({28, 20, 1}), std::pair(28, 20));
  EXPECT_EQ(image_extents({784}), std::pair(28, 28));
  EXPECT_EQ(image_extents({783}), std::nullopt);
  EXPECT_EQ(image_extents({3, 28, 20}), std::nullopt);
  EXPECT_NE(error_of([] { image_grid({5}, std::vector<float>(10), 2); }).find("no grey images"),
            std::string::npos);
}

TEST(HtmlTest, TextAndNumbers) {
  EXPECT_EQ(escape_html("<a href=\"x\">'&'</a>"),
            "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
  const std::string text = "any carnal pleas";
  const auto base64 = [&](std::size_t size) {
    return encode_base64({reinterpret_cast<const std::uint8_t*>(text.data()), size});
  };
  EXPECT_EQ(base64(16), "YW55IGNhcm5hbCBwbGVhcw==");
  EXPECT_EQ(base64(15), "YW55IGNhcm5hbCBwbGVh");
  EXPECT_EQ(base64(14), "YW55IGNhcm5hbCBwbGU=");
  EXPECT_EQ(base64(0), "");
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1000), "1,000");
  EXPECT_EQ(format_count(-1234567), "-1,234,567");
  EXPECT_EQ(format_loss(0.09161), "0.0916");
  EXPECT_EQ(format_loss(std::numeric_limits<double>::quiet_NaN()), "–");
}

Report full_report() {
  Report report;
  report.title = "<script>alert(1)</script>";
  report.data = "60,000 rows & more";
  report.loss_name = "binary cross-entropy";
  for (int epoch = 1; epoch <= 12; ++epoch) {
    report.epochs.push_back({epoch, 0.3 / epoch, 0.29 / epoch, 0.1, 600000});
  }
  report.test_loss = 0.29 / 12;
  report.baselines = Baselines{.floor = 0.01,
                               .mean_image = 0.3,
                               .pca = 0.1,
                               .components = 4,
                               .clip = 0.001,
                               .pca_squared_error_per_row = 13.2};
  report.reconstructions = Image{2, 2, {0, 1, 2, 3}};
  report.configuration = {{"path", "a\"b<c"}};
  return report;
}

std::string page_of(const Report& report) {
  const TemporaryFolder folder;
  write_report(report, folder / "report.html");
  return content_of(folder / "report.html");
}

TEST(ReportTest, SaysWhatItMustAndLoadsNothing) {
  const std::string page = page_of(full_report());
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(page.find("http"), std::string::npos);
  EXPECT_NE(page.find("&lt;script&gt;"), std::string::npos);
  EXPECT_NE(page.find("a&quot;b&lt;c"), std::string::npos);
  // (0.3 - 0.29/12) / (0.3 - 0.01)
  EXPECT_NE(page.find("95.1&#8239;%"), std::string::npos);
  EXPECT_NE(page.find("PCA, 4 components"), std::string::npos);
  EXPECT_NE(page.find("Why is the loss not zero?"), std::string::npos);
  EXPECT_NE(page.find("data:image/png;base64,"), std::string::npos);
  EXPECT_NE(page.find("<polyline class=\"curve test\""), std::string::npos);
  EXPECT_EQ(page.find("interrupted"), std::string::npos);
}

TEST(ReportTest, WhatIsAbsentIsNotShown) {
  Report report = full_report();
  report.baselines.reset();
  report.reconstructions.reset();
  report.test_loss = std::numeric_limits<double>::quiet_NaN();
  for (EpochResult& epoch : report.epochs) {
    epoch.validation_loss = std::numeric_limits<double>::quiet_NaN();
  }
  report.interrupted = true;
  std::string page = page_of(report);
  EXPECT_EQ(page.find("nan"), std::string::npos);
  EXPECT_EQ(page.find("floor 0"), std::string::npos);
  EXPECT_EQ(page.find("data:image"), std::string::npos);
  EXPECT_NE(page.find("no held-out rows"), std::string::npos);
  EXPECT_NE(page.find("interrupted after 12"), std::string::npos);

  report.epochs.resize(1);
  EXPECT_NE(page_of(report).find("<circle"), std::string::npos);
  report.epochs.clear();
  page = page_of(report);
  EXPECT_NE(page.find("No epoch was finished"), std::string::npos);
  EXPECT_EQ(page.find("<svg"), std::string::npos);
}

}  // namespace
}  // namespace ae::test
