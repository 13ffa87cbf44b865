#include "report/loss_chart.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "report/html.hpp"

namespace ae::report {

namespace {

// Lines are SVG, stretched to whatever width the page has; texts are HTML, placed in percent of the
// same area, so that they keep their size on a telephone.

/// The drawing's own units, per side.
constexpr double kSide = 1000;
/// Between two labels at the curves' ends, in percent of the height.
constexpr double kLabelGap = 6;

/// 1, 2 or 5 times a power of ten: the step that gives at most about `count` ticks.
double tick_step(double range, int count) {
  const double rough = range / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) return factor * power;
  }
  return 10 * power;
}

/// The losses from `low` to `high` over the epochs from `first` to `last`.
struct Axes {
  double first;
  double last;
  double low;
  double high;

  /// In percent of the width, from the left.
  [[nodiscard]] double x(double epoch) const { return 100 * (epoch - first) / (last - first); }
  /// In percent of the height, from the top.
  [[nodiscard]] double y(double loss) const { return 100 * (high - loss) / (high - low); }
};

struct Label {
  std::string_view css_class;
  std::string_view name;
  double loss;
  double y;
};

/// Moves labels apart, down and then up from the bottom, until none overlaps another.
void spread(std::vector<Label>& labels) {
  std::stable_sort(labels.begin(), labels.end(),
                   [](const Label& a, const Label& b) { return a.y < b.y; });
  double least = 0;
  for (Label& label : labels) {
    label.y = std::max(label.y, least);
    least = label.y + kLabelGap;
  }
  double most = 100;
  for (auto label = labels.rbegin(); label != labels.rend(); ++label) {
    label->y = std::min(label->y, most);
    most = label->y - kLabelGap;
  }
}

std::string horizontal_line(std::string_view css_class, double y_percent) {
  return fmt::format("<line class=\"{0}\" x1=\"0\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>\n",
                     css_class, kSide, y_percent / 100 * kSide);
}

/// One line through all finite losses; a single one becomes a dot, by the line's round ends.
std::string curve(const std::vector<EpochResult>& epochs, double EpochResult::*loss,
                  const Axes& axes, std::string_view css_class) {
  std::string points;
  for (const EpochResult& epoch : epochs) {
    if (!std::isfinite(epoch.*loss)) continue;
    points += fmt::format("{}{:.1f} {:.1f}", points.empty() ? "M" : "L",
                          axes.x(static_cast<double>(epoch.epoch)) / 100 * kSide,
                          axes.y(epoch.*loss) / 100 * kSide);
  }
  if (points.empty()) return {};
  const bool dot = points.find('L') == std::string::npos;
  return fmt::format("<path class=\"curve {}{}\" d=\"{}{}\"/>\n", css_class, dot ? " dot" : "",
                     points, dot ? "h0" : "");
}

std::string format_tick(double tick, double step) {
  if (step >= 1e5 || step < 1e-4) return fmt::format("{:.4g}", tick);
  const int decimals = std::max(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-9)));
  return fmt::format("{:.{}f}", tick, decimals);
}

std::string epoch_ticks(const Axes& axes, std::int64_t last) {
  const auto step = static_cast<std::int64_t>(
      std::max(1.0, tick_step(std::max(static_cast<double>(last - 1), 1.0), 6)));
  std::string html;
  for (std::int64_t tick = 1; tick <= last; tick += tick == 1 && step > 1 ? step - 1 : step) {
    html += fmt::format("<span class=\"tick x\" style=\"left:{:.2f}%\">{}</span>\n",
                        axes.x(static_cast<double>(tick)), format_count(tick));
  }
  return html + "<span class=\"axis\">epoch</span>\n";
}

/// The losses that the chart shows, floor included.
std::vector<double> shown_losses(const Report& report) {
  std::vector<double> losses;
  for (const EpochResult& epoch : report.epochs) {
    for (const double loss : {epoch.train_loss, epoch.validation_loss}) {
      if (std::isfinite(loss)) losses.push_back(loss);
    }
  }
  if (!losses.empty() && report.baselines) losses.push_back(report.baselines->floor);
  return losses;
}

std::string description(const Report& report) {
  const EpochResult& first = report.epochs.front();
  const EpochResult& last = report.epochs.back();
  std::string text = fmt::format("The training loss goes from {} in epoch {} to {} in epoch {}",
                                 format_loss(first.train_loss), first.epoch,
                                 format_loss(last.train_loss), last.epoch);
  if (std::isfinite(last.validation_loss)) {
    text += fmt::format(", the test loss from {} to {}", format_loss(first.validation_loss),
                        format_loss(last.validation_loss));
  }
  return text + ".";
}

}  // namespace

std::string loss_chart(const Report& report) {
  const std::vector<double> losses = shown_losses(report);
  if (losses.empty()) return {};
  const double lowest = *std::min_element(losses.begin(), losses.end());
  double highest = *std::max_element(losses.begin(), losses.end());
  if (highest <= lowest) highest = lowest + std::max(1e-6, std::abs(lowest) * 0.1);
  const double step = tick_step(highest - lowest, 5);
  const EpochResult& last = report.epochs.back();
  // A single epoch stands in the middle.
  const Axes axes{last.epoch == 1 ? 0.0 : 1.0, std::max(static_cast<double>(last.epoch), 2.0),
                  std::floor(lowest / step) * step, std::ceil(highest / step) * step};

  std::string lines;
  std::string texts;
  const auto ticks = std::llround((axes.high - axes.low) / step);
  for (std::int64_t i = 0; i <= ticks; ++i) {
    const double tick = axes.low + static_cast<double>(i) * step;
    lines += horizontal_line("grid", axes.y(tick));
    texts += fmt::format("<span class=\"tick y\" style=\"top:{:.2f}%\">{}</span>\n", axes.y(tick),
                         format_tick(tick, step));
  }
  texts += epoch_ticks(axes, last.epoch);

  std::vector<Label> labels;
  const auto add_label = [&](std::string_view css_class, std::string_view name, double loss) {
    if (std::isfinite(loss)) labels.push_back({css_class, name, loss, axes.y(loss)});
  };
  if (report.baselines) {
    lines += horizontal_line("floor", axes.y(report.baselines->floor));
    add_label("floor", "floor", report.baselines->floor);
  }
  lines += curve(report.epochs, &EpochResult::train_loss, axes, "train");
  lines += curve(report.epochs, &EpochResult::validation_loss, axes, "test");
  add_label("train", "training", last.train_loss);
  add_label("test", "test", last.validation_loss);
  spread(labels);
  for (const Label& label : labels) {
    texts += fmt::format("<span class=\"end {}\" style=\"top:{:.2f}%\">{} {}</span>\n",
                         label.css_class, label.y, label.name, format_loss(label.loss));
  }

  std::string caption =
      "The training loss is the mean over an epoch, while the weights still moved";
  caption += std::isfinite(last.validation_loss) ? "; the test loss is taken at its end." : ".";
  return fmt::format(
      "<h2>Loss by epoch</h2>\n<figure>\n<div class=\"plot\">\n<svg viewBox=\"0 0 {0} {0}\" "
      "preserveAspectRatio=\"none\" role=\"img\" aria-labelledby=\"chart-title chart-text\">\n"
      "<title id=\"chart-title\">Loss by epoch</title>\n<desc id=\"chart-text\">{1}</desc>\n"
      "{2}</svg>\n{3}</div>\n<figcaption>{4}</figcaption></figure>\n",
      kSide, description(report), lines, texts, caption);
}

}  // namespace ae::report
