#include "report/loss_scale.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "report/html.hpp"

namespace ae::report {

namespace {

/// Labels hang on the line at different lengths, one text line apart.
constexpr double kShortest = 1.6;    ///< rem
constexpr double kLineHeight = 1.5;  ///< rem

struct Mark {
  std::string_view css_class;
  std::string label;
  double loss;
};

std::string draw(const Mark& mark, double percent, bool above, double length) {
  // A label below begins at its mark, one above ends there: both have half the line's width.
  const double offset = above ? 100 - percent : percent;
  return fmt::format(
      "<div class=\"mark {} {}\" style=\"{}:{:.2f}%;height:{:.1f}rem\"><span><b>{}</b> "
      "{}</span></div>\n",
      mark.css_class, above ? "above" : "below", above ? "right" : "left", offset, length,
      format_loss(mark.loss), escape_html(mark.label));
}

}  // namespace

std::string loss_scale(const Report& report) {
  if (!report.baselines || !std::isfinite(report.test_loss)) return {};
  const Baselines& baselines = *report.baselines;
  std::vector<Mark> marks = {
      {"floor", "floor", baselines.floor},
      {"model", "this model", report.test_loss},
      {"", report.reconstructions ? "mean image" : "mean row", baselines.mean_image}};
  if (baselines.pca && !pca_is_complete(report)) {
    marks.push_back({"", fmt::format("PCA ({})", baselines.pca->components), baselines.pca->loss});
  }
  std::stable_sort(marks.begin(), marks.end(),
                   [](const Mark& a, const Mark& b) { return a.loss < b.loss; });
  const double largest = marks.back().loss;
  if (!(largest > 0) || !std::isfinite(largest)) return {};
  const auto percent = [&](double loss) { return std::clamp(100 * loss / largest, 0.0, 100.0); };

  // Labels of the left half hang below the line and run to the right, those of the right half stand
  // above it and run to the left. Within each half, the further out a mark, the longer its leader:
  // so no label meets another, nor another's leader, however close the marks are.
  const auto middle =
      std::find_if(marks.begin(), marks.end(), [&](const Mark& m) { return percent(m.loss) > 50; });
  const auto length = [](std::ptrdiff_t level) {
    return kShortest + kLineHeight * static_cast<double>(level);
  };
  std::string labels;
  for (auto mark = marks.begin(); mark != middle; ++mark) {
    labels += draw(*mark, percent(mark->loss), false, length(middle - mark - 1));
  }
  for (auto mark = middle; mark != marks.end(); ++mark) {
    labels += draw(*mark, percent(mark->loss), true, length(mark - middle));
  }

  const double floor = percent(baselines.floor);
  std::string html = fmt::format(
      "<figure class=\"scale\">\n<div class=\"line\" style=\"margin-top:{0:.1f}rem;"
      "margin-bottom:{1:.1f}rem\">\n<span class=\"zero\">0</span>\n"
      "<div class=\"beyond\" style=\"width:{2:.2f}%\"></div>\n"
      "<div class=\"reachable\" style=\"left:{2:.2f}%\"></div>\n",
      length(marks.end() - middle - 1) + 0.4, length(middle - marks.begin() - 1) + 0.4, floor);
  if (report.test_loss < baselines.mean_image) {
    const double model = percent(report.test_loss);
    html += fmt::format("<div class=\"gained\" style=\"left:{:.2f}%;width:{:.2f}%\"></div>\n",
                        model, percent(baselines.mean_image) - model);
  }
  html += labels + "</div>\n<figcaption>Test losses, to scale.";
  if (report.test_loss < baselines.mean_image) {
    html += " The broad band is what the model has gained on always answering the mean";
    html += baselines.floor > 0 ? "; no model reaches the dotted part." : ".";
  }
  return html + "</figcaption></figure>\n";
}

}  // namespace ae::report
