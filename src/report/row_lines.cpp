#include "report/row_lines.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include <fmt/format.h>

#include "report/html.hpp"

namespace ae::report {

namespace {

// A chart's own units, stretched to the room that the page has.
constexpr double kWidth = 400;
constexpr double kHeight = 100;

/// More points than this are not seen in a chart so small.
constexpr std::int64_t kMostPoints = 400;

struct Range {
  float low = std::numeric_limits<float>::infinity();
  float high = -std::numeric_limits<float>::infinity();

  void include(std::span<const float> values) {
    for (const float value : values) {
      if (!std::isfinite(value)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
};

std::string line(std::span<const float> row, const Range& range, std::string_view css_class) {
  const auto size = static_cast<std::int64_t>(row.size());
  const std::int64_t points = std::min(size, kMostPoints);
  const auto height = static_cast<double>(range.high) - static_cast<double>(range.low);
  std::string path;
  for (std::int64_t i = 0; i < points; ++i) {
    const std::int64_t place = i * size / points;
    const auto value = static_cast<double>(row[static_cast<std::size_t>(place)]);
    if (!std::isfinite(value)) continue;
    const double x = size > 1 ? static_cast<double>(place) / static_cast<double>(size - 1) : 0.5;
    const double y = height > 0 ? (static_cast<double>(range.high) - value) / height : 0.5;
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? 'M' : 'L', x * kWidth, y * kHeight);
  }
  if (path.empty()) return {};
  return fmt::format("<path class=\"{}\" d=\"{}\"/>", css_class, path);
}

}  // namespace

std::string row_lines(const DrawnRows& rows, std::string_view caption) {
  if (rows.row_size < 1 || rows.originals.empty()) return {};
  const auto size = static_cast<std::size_t>(rows.row_size);
  Range range;
  range.include(rows.originals);
  range.include(rows.reconstructions);
  std::string charts;
  for (std::size_t at = 0; at + size <= rows.originals.size(); at += size) {
    charts += fmt::format(
        "<svg viewBox=\"0 0 {} {}\" preserveAspectRatio=\"none\" aria-hidden=\"true\">{}", kWidth,
        kHeight, line(std::span(rows.originals).subspan(at, size), range, "original"));
    if (at + size <= rows.reconstructions.size()) {
      charts += line(std::span(rows.reconstructions).subspan(at, size), range, "reconstruction");
    }
    charts += "</svg>\n";
  }
  return fmt::format(
      "<figure>\n<div class=\"rows\">\n{}</div>\n<figcaption>{} Each chart has a row&rsquo;s {} "
      "values from left to right, from {} at the bottom to {} at the top.</figcaption></figure>\n",
      charts, caption, format_count(rows.row_size), format_loss(static_cast<double>(range.low)),
      format_loss(static_cast<double>(range.high)));
}

}  // namespace ae::report
