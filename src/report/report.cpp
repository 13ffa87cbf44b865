#include "report/report.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "io/atomic_file.hpp"
#include "report/html.hpp"
#include "report/loss_chart.hpp"

namespace ae::report {

namespace {

constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark;
  --paper: #fffdf9; --ink: #22201c; --soft: #6d675d; --line: #ddd6c9; --card: #f6f2ea;
  --train: #b08a4a; --test: #1f5f8b; --floor: #8c2f39; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #17181a; --ink: #e8e4dc; --soft: #a19a8c; --line: #3a3a3c; --card: #202124;
  --train: #c9a86a; --test: #7ab6e0; --floor: #e08a92; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 17px/1.55 Charter, "Bitstream Charter", "Sitka Text", Cambria, Georgia, serif; }
main { max-width: 56rem; margin: 0 auto; padding: 3rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .2rem; font-weight: 600; }
h2 { font-size: 1.15rem; margin: 2.6rem 0 .6rem; font-weight: 600; }
p { max-width: 40rem; margin: .6rem 0; }
.data { color: var(--soft); margin: 0 0 1.4rem; }
.verdict { font-size: 1.2rem; line-height: 1.5; }
.verdict b { font-variant-numeric: tabular-nums; }
.note { border-left: 3px solid var(--floor); padding: .1rem 0 .1rem .9rem; }
figure { margin: 1rem 0 0; }
figcaption { color: var(--soft); font-size: .88rem; max-width: 40rem; margin-top: .4rem; }
svg { display: block; width: 100%; height: auto; }
svg text { font: 13px system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; fill: var(--ink);
  font-variant-numeric: tabular-nums; }
svg .soft { fill: var(--soft); }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .train { stroke: var(--train); } svg .test { stroke: var(--test); }
svg .curve { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
svg .floor { stroke: var(--floor); stroke-dasharray: 5 4; stroke-width: 1.5; }
svg text.train { fill: var(--train); stroke: none; } svg text.test { fill: var(--test); stroke: none; }
svg text.floor { fill: var(--floor); stroke: none; }
img { width: 100%; height: auto; image-rendering: pixelated; border-radius: 4px; display: block; }
table { border-collapse: collapse; font: .88rem/1.5 system-ui, "Segoe UI", Roboto, sans-serif;
  font-variant-numeric: tabular-nums; width: 100%; }
td, th { padding: .22rem .8rem .22rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { font-weight: 500; color: var(--soft); white-space: nowrap; }
.numbers td, .numbers th { text-align: right; }
.numbers td:first-child, .numbers th:first-child { text-align: left; }
.bars th { width: 30%; white-space: normal; color: var(--ink); }
.bars .bar { width: 50%; padding-right: 0; }
.bars .bar span { display: block; height: .7rem; margin: .42rem 0; border-radius: 2px;
  background: var(--soft); opacity: .55; }
.bars tr.result th, .bars tr.result td { font-weight: 650; }
.bars tr.result .bar span { background: var(--test); opacity: 1; }
.bars tr.floor .bar span { background: var(--floor); opacity: .85; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 0 2.5rem; }
@media (max-width: 30rem) { .columns { grid-template-columns: 1fr; } main { padding-top: 1.5rem; } }
summary { cursor: pointer; color: var(--soft); }
.scroll { overflow-x: auto; }
footer { color: var(--soft); font-size: .85rem; margin-top: 3rem; }
@media print { body { font-size: 11pt; } main { padding: 0; } h2 { break-after: avoid; } }
)css";

std::string verdict(const Report& report) {
  if (report.epochs.empty() && std::isnan(report.test_loss)) {
    return "<p class=\"verdict\">No epoch was finished, so there is no loss to show.</p>";
  }
  if (std::isnan(report.test_loss)) {
    return fmt::format(
        "<p class=\"verdict\">Training loss <b>{}</b> in the last epoch. There were no held-out "
        "rows to "
        "judge the model by.</p>",
        format_loss(report.epochs.back().train_loss));
  }
  std::string text =
      fmt::format("<p class=\"verdict\">Test loss <b>{}</b>.", format_loss(report.test_loss));
  if (report.baselines) {
    const Baselines& baselines = *report.baselines;
    text += fmt::format(
        " On these data no model can get below <b>{}</b>, and always answering the mean image "
        "gives "
        "<b>{}</b>. Of the way from there to the floor, the model has gone <b>{:.1f}&#8239;%</b>.",
        format_loss(baselines.floor), format_loss(baselines.mean_image),
        100 * closed_gap(baselines, report.test_loss));
  }
  return text + "</p>";
}

struct Bar {
  std::string_view row_class;
  std::string label;
  double loss;
};

/// The result between its floor and its baselines, as bars on one scale that begins at zero.
std::string comparison(const Report& report) {
  if (!report.baselines || std::isnan(report.test_loss)) return {};
  const Baselines& baselines = *report.baselines;
  std::vector<Bar> bars = {{"floor", "Floor: no model can be better", baselines.floor},
                           {"result", "This model", report.test_loss},
                           {"", "Always the mean image", baselines.mean_image}};
  if (baselines.components > 0) {
    bars.push_back({"", fmt::format("PCA, {} components", baselines.components), baselines.pca});
  }
  std::stable_sort(bars.begin(), bars.end(),
                   [](const Bar& a, const Bar& b) { return a.loss < b.loss; });
  const double largest = std::max(bars.back().loss, 1e-30);
  std::string html = "<h2>How good is that?</h2>\n<table class=\"bars\">\n";
  for (const Bar& bar : bars) {
    html += fmt::format(
        "<tr class=\"{}\"><th scope=\"row\">{}</th><td>{}</td><td class=\"bar\"><span "
        "style=\"width:{:.2f}%\"></span></td></tr>\n",
        bar.row_class, escape_html(bar.label), format_loss(bar.loss), 100 * bar.loss / largest);
  }
  html += "</table>\n";
  if (baselines.components > 0) {
    html +=
        "<p>Principal component analysis is the best that a linear code of the same size can do";
    if (baselines.clip > 0) {
      html += fmt::format(
          " by squared error. It does not end in probabilities, so its outputs are clipped to "
          "[{0:g}, "
          "{1:g}], the range that serves it best on the training rows",
          baselines.clip, 1 - baselines.clip);
    }
    html += fmt::format(". Its squared error per image on the test rows is {:.3f}",
                        baselines.pca_squared_error_per_row);
    if (report.test_squared_error_per_row) {
      html += fmt::format("; this model's is {:.3f}", *report.test_squared_error_per_row);
    }
    html += ".</p>\n";
  }
  return html;
}

std::string why_not_zero(const Report& report) {
  if (!report.baselines || report.baselines->clip <= 0 || report.baselines->floor <= 0) return {};
  return fmt::format(
      "<h2>Why is the loss not zero?</h2>\n<p class=\"note\">Binary cross-entropy compares "
      "probabilities. For a target pixel that is black or white, a perfect answer costs nothing; "
      "for a "
      "grey one of value <i>t</i>, even the perfect answer <i>t</i> costs its entropy, "
      "&minus;<i>t</i>&thinsp;ln&thinsp;<i>t</i> &minus; "
      "(1&minus;<i>t</i>)&thinsp;ln&thinsp;(1&minus;"
      "<i>t</i>). Averaged over these test data that is {}: the floor.</p>\n",
      format_loss(report.baselines->floor));
}

std::string picture(const Report& report) {
  if (!report.reconstructions) return {};
  const std::vector<std::uint8_t> png = encode_png(*report.reconstructions);
  return fmt::format(
      "<h2>Reconstructions</h2>\n<figure><img alt=\"Originals above their reconstructions\" "
      "src=\"data:image/png;base64,{}\"><figcaption>Held-out samples, and below each what the "
      "model "
      "makes of its code.</figcaption></figure>\n",
      encode_base64(png));
}

std::string pairs_table(std::string_view heading,
                        const std::vector<std::pair<std::string, std::string>>& pairs) {
  if (pairs.empty()) return {};
  std::string html = fmt::format("<section><h2>{}</h2>\n<table>\n", heading);
  for (const auto& [name, value] : pairs) {
    html += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape_html(name),
                        escape_html(value));
  }
  return html + "</table></section>\n";
}

std::string epoch_table(const Report& report) {
  if (report.epochs.empty()) return {};
  std::string html =
      "<details><summary>Every epoch in numbers</summary><div class=\"scroll\">\n<table "
      "class=\"numbers\">\n<tr><th>Epoch</th><th>Training loss</th><th>Test "
      "loss</th><th>Seconds</th>"
      "<th>Samples/s</th></tr>\n";
  for (const EpochResult& epoch : report.epochs) {
    html +=
        fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{:.3f}</td><td>{}</td></tr>\n",
                    epoch.epoch, format_loss(epoch.train_loss), format_loss(epoch.validation_loss),
                    epoch.seconds, format_count(std::llround(epoch.samples_per_second)));
  }
  return html + "</table></div></details>\n";
}

}  // namespace

void write_report(const Report& report, const std::filesystem::path& path) {
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
      "name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\">\n<title>{0}</title>\n<style>{1}</style>\n"
      "</head>\n<body><main>\n<h1>{0}</h1>\n<p class=\"data\">{2}</p>\n",
      escape_html(report.title), kStyle, escape_html(report.data));
  html += verdict(report);
  if (report.interrupted) {
    html += fmt::format(
        "<p class=\"note\">The training was interrupted after {} finished epochs.</p>\n",
        report.epochs.size());
  }
  html += comparison(report);
  html += loss_chart(report);
  html += epoch_table(report);
  html += picture(report);
  html += why_not_zero(report);
  html += "<div class=\"columns\">\n";
  html += pairs_table("Configuration", report.configuration);
  html += pairs_table("Machine", report.machine);
  html += "</div>\n";
  html +=
      fmt::format("<footer>Loss: {}. Trained in {:.1f} seconds.</footer>\n</main></body></html>\n",
                  escape_html(report.loss_name), report.seconds);
  io::AtomicFile file(path);
  file.write(html);
  file.commit();
}

}  // namespace ae::report
