#include "report/loss_chart.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/format.h>

#include "report/html.hpp"

namespace ae::report {

namespace {

// The drawing's own units; it is scaled to the page.
constexpr double kWidth = 860;
constexpr double kHeight = 360;
constexpr double kLeft = 58;
constexpr double kRight = 150;  // labels stand here, beside the curves' ends
constexpr double kTop = 16;
constexpr double kBottom = 44;
constexpr double kLabelGap = 17;

/// 1, 2 or 5 times a power of ten: the step that gives about `count` ticks.
double tick_step(double range, int count) {
  const double rough = range / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) return factor * power;
  }
  return 10 * power;
}

/// Values to positions.
struct Scale {
  double low;
  double high;
  double at_low;
  double at_high;

  [[nodiscard]] double operator()(double value) const {
    return at_low + (value - low) / (high - low) * (at_high - at_low);
  }
};

struct Label {
  double y;
  std::string css_class;
  std::string text;
};

/// Moves labels apart, down and then up from the bottom, until none overlaps another.
void spread(std::vector<Label>& labels) {
  std::sort(labels.begin(), labels.end(), [](const Label& a, const Label& b) { return a.y < b.y; });
  for (std::size_t i = 1; i < labels.size(); ++i) {
    labels[i].y = std::max(labels[i].y, labels[i - 1].y + kLabelGap);
  }
  labels.back().y = std::min(labels.back().y, kHeight - kBottom);
  for (std::size_t i = labels.size() - 1; i > 0; --i) {
    labels[i - 1].y = std::min(labels[i - 1].y, labels[i].y - kLabelGap);
  }
}

std::string grid(const Scale& x, const Scale& y, double y_step, std::int64_t x_step) {
  std::string svg;
  const int decimals = std::max(0, static_cast<int>(std::ceil(-std::log10(y_step) - 1e-9)));
  for (double tick = std::ceil(y.low / y_step - 1e-9) * y_step; tick <= y.high + y_step * 1e-6;
       tick += y_step) {
    svg += fmt::format(
        "<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>"
        "<text class=\"soft\" x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5:.{6}f}</text>\n",
        kLeft, kWidth - kRight, y(tick), kLeft - 9, y(tick) + 4.5, tick, decimals);
  }
  for (auto tick = static_cast<std::int64_t>(x.low); tick <= static_cast<std::int64_t>(x.high);
       tick = tick == 1 && x_step > 1 ? x_step : tick + x_step) {
    svg +=
        fmt::format("<text class=\"soft\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                    x(static_cast<double>(tick)), kHeight - kBottom + 20, tick);
  }
  svg += fmt::format("<text class=\"soft\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">epoch</text>\n",
                     (kLeft + kWidth - kRight) / 2, kHeight - 6);
  return svg;
}

std::string curve(const std::vector<EpochResult>& epochs, double EpochResult::*loss, const Scale& x,
                  const Scale& y, const char* css_class) {
  std::string points;
  for (const EpochResult& epoch : epochs) {
    if (!std::isfinite(epoch.*loss)) continue;
    points += fmt::format("{:.1f},{:.1f} ", x(static_cast<double>(epoch.epoch)), y(epoch.*loss));
  }
  if (epochs.size() == 1) {
    // A line of one point would not show.
    const std::size_t comma = points.find(',');
    if (comma == std::string::npos) return {};
    return fmt::format(
        "<circle class=\"{}\" fill=\"none\" stroke-width=\"2\" r=\"4\" cx=\"{}\" cy=\"{}\"/>\n",
        css_class, points.substr(0, comma), points.substr(comma + 1, points.size() - comma - 2));
  }
  return fmt::format("<polyline class=\"curve {}\" points=\"{}\"/>\n", css_class, points);
}

}  // namespace

std::string loss_chart(const Report& report) {
  if (report.epochs.empty()) return {};
  const EpochResult& last = report.epochs.back();
  const bool has_test = std::isfinite(last.validation_loss);
  double lowest = report.baselines ? report.baselines->floor : last.train_loss;
  double highest = lowest;
  for (const EpochResult& epoch : report.epochs) {
    for (const double loss : {epoch.train_loss, epoch.validation_loss}) {
      if (!std::isfinite(loss)) continue;
      lowest = std::min(lowest, loss);
      highest = std::max(highest, loss);
    }
  }
  if (highest <= lowest) highest = lowest + std::max(1e-6, std::abs(lowest) * 0.1);
  const double step = tick_step(highest - lowest, 5);
  const Scale y{std::floor(lowest / step) * step, std::ceil(highest / step) * step,
                kHeight - kBottom, kTop};
  const auto epochs = static_cast<double>(last.epoch);
  const Scale x{1, std::max(epochs, 2.0), kLeft + 8, kWidth - kRight - 8};
  const auto x_step =
      static_cast<std::int64_t>(std::max(1.0, tick_step(std::max(epochs - 1, 1.0), 10)));

  std::vector<Label> labels = {
      {y(last.train_loss), "train", fmt::format("training {}", format_loss(last.train_loss))}};
  if (has_test) {
    labels.push_back({y(last.validation_loss), "test",
                      fmt::format("test {}", format_loss(last.validation_loss))});
  }
  std::string svg = fmt::format(
      "<h2>Loss by epoch</h2>\n<figure><svg viewBox=\"0 0 {} {}\" role=\"img\" "
      "aria-label=\"Loss by epoch: training from {} to {}\">\n",
      kWidth, kHeight, format_loss(report.epochs.front().train_loss), format_loss(last.train_loss));
  svg += grid(x, y, step, x_step);
  if (report.baselines) {
    const double floor = y(report.baselines->floor);
    svg +=
        fmt::format("<line class=\"floor\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>\n",
                    kLeft, kWidth - kRight, floor);
    labels.push_back(
        {floor, "floor", fmt::format("floor {}", format_loss(report.baselines->floor))});
  }
  svg += curve(report.epochs, &EpochResult::train_loss, x, y, "train");
  svg += curve(report.epochs, &EpochResult::validation_loss, x, y, "test");
  spread(labels);
  for (const Label& label : labels) {
    svg += fmt::format("<text class=\"{}\" x=\"{}\" y=\"{:.1f}\">{}</text>\n", label.css_class,
                       kWidth - kRight + 8, label.y + 4.5, label.text);
  }
  return svg +
         "</svg><figcaption>The training loss is the mean over an epoch, while the weights moved; "
         "the "
         "test loss is taken at its end, with the weights as they then "
         "were.</figcaption></figure>\n";
}

}  // namespace ae::report
