#include "report/report.hpp"

#include <cmath>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "io/atomic_file.hpp"
#include "report/html.hpp"
#include "report/loss_chart.hpp"
#include "report/loss_scale.hpp"
#include "report/style.hpp"

namespace ae::report {

namespace {

std::string bold(double loss) {
  return fmt::format("<b>{}</b>", format_loss(loss));
}

/// The page's one sentence, from the test loss to what it is worth.
std::string verdict(const Report& report) {
  if (!std::isfinite(report.test_loss)) {
    if (report.epochs.empty()) return "No epoch was finished, so there is no loss to show.";
    return fmt::format(
        "Training loss {} in the last epoch. There were no held-out rows to judge the model by.",
        bold(report.epochs.back().train_loss));
  }
  std::string text = fmt::format("Test loss {}", bold(report.test_loss));
  text += report.epochs.empty() ? ", without a finished epoch." : ".";
  if (!report.baselines) return text;
  const Baselines& baselines = *report.baselines;
  text += fmt::format(" A perfect model would reach {}{}; always answering the mean {} gives {}.",
                      bold(baselines.floor), baselines.floor > 0 ? " on these grey values" : "",
                      report.reconstructions ? "image" : "row", bold(baselines.mean_image));
  const double gap = closed_gap(baselines, report.test_loss);
  if (gap >= 0) {
    text += fmt::format(" The model closed <b>{:.1f}&#8239;%</b> of that gap.", 100 * gap);
  } else if (gap < 0) {
    text += " The model is worse than that.";
  }
  return text;
}

std::string interruption(const Report& report) {
  if (!report.interrupted) return {};
  const std::size_t epochs = report.epochs.size();
  return fmt::format(
      "<p class=\"note\">The training was interrupted after {} finished epoch{}; the model is as "
      "it "
      "was at that step.</p>\n",
      epochs, epochs == 1 ? "" : "s");
}

/// What the best linear code reaches, and the squared errors that other people's figures are in.
std::string pca_note(const Report& report) {
  if (!report.baselines) return {};
  std::string text;
  if (const auto& pca = report.baselines->pca) {
    text = fmt::format(
        "Principal component analysis is the best linear code; with {} components it reaches {}.",
        format_count(pca->components), format_loss(pca->loss));
    if (pca->clip > 0) {
      text += fmt::format(
          " It does not end in probabilities, so its outputs are clipped to [{:g}, {:g}], the "
          "range "
          "that serves it best on the training rows.",
          pca->clip, 1 - pca->clip);
    }
    text += fmt::format(" Its squared error, summed over each test row, is {}",
                        format_loss(pca->squared_error_per_row));
    if (report.test_squared_error_per_row) {
      text += fmt::format("; this model&rsquo;s is {}",
                          format_loss(*report.test_squared_error_per_row));
    }
    text += ".";
  } else {
    text = "Principal component analysis is left out: these rows are too wide for it, or too few.";
    if (report.test_squared_error_per_row) {
      text += fmt::format(" The model&rsquo;s squared error, summed over each test row, is {}.",
                          format_loss(*report.test_squared_error_per_row));
    }
  }
  return fmt::format("<p>{}</p>\n", text);
}

/// For losses that have a floor above zero, which is what cross-entropy has on grey targets.
std::string why_not_zero(const Report& report) {
  if (!report.baselines || !(report.baselines->floor > 0)) return {};
  return fmt::format(
      "<h2>Why is the loss not zero?</h2>\n<p class=\"note\">Binary cross-entropy compares "
      "probabilities. Where a target is black or white, a perfect answer costs nothing. Where it "
      "is "
      "a grey of value <i>t</i>, even the perfect answer <i>t</i> costs its entropy, "
      "&minus;<i>t</i>&#8239;ln&#8239;<i>t</i> &minus; "
      "(1&#8239;&minus;&#8239;<i>t</i>)&#8239;ln&#8239;(1&#8239;&minus;&#8239;<i>t</i>). Over "
      "these "
      "test rows that comes to {}: the floor, below which no model gets.</p>\n",
      format_loss(report.baselines->floor));
}

std::string picture(const Report& report) {
  if (!report.reconstructions) return {};
  return fmt::format(
      "<h2>Reconstructions</h2>\n<figure><img alt=\"Originals above their reconstructions\" "
      "width=\"{}\" height=\"{}\" src=\"data:image/png;base64,{}\"><figcaption>Samples, and below "
      "each what the model makes of its code.</figcaption></figure>\n",
      report.reconstructions->width, report.reconstructions->height,
      encode_base64(encode_png(*report.reconstructions)));
}

std::string epoch_table(const Report& report) {
  if (report.epochs.empty()) return {};
  std::string html =
      "<details><summary>Every epoch in numbers</summary>\n<div class=\"scroll\"><table "
      "class=\"numbers\">\n<tr><th scope=\"col\">Epoch</th><th scope=\"col\">Training loss</th>"
      "<th scope=\"col\">Test loss</th><th scope=\"col\">Seconds</th>"
      "<th scope=\"col\">Samples/s</th></tr>\n";
  for (const EpochResult& epoch : report.epochs) {
    html += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{:.3f}</td><td>{}</td></tr>\n",
                        format_count(epoch.epoch), format_loss(epoch.train_loss),
                        format_loss(epoch.validation_loss), epoch.seconds,
                        format_count(std::llround(epoch.samples_per_second)));
  }
  return html + "</table></div></details>\n";
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

/// The policy lets the page load nothing, wherever it is opened.
std::string head(const Report& report) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
      "style-src 'unsafe-inline'\">\n<title>{}</title>\n<style>{}</style>\n</head>\n",
      escape_html(report.title), kStyle);
}

}  // namespace

void write_report(const Report& report, const std::filesystem::path& path) {
  std::string html = head(report);
  html += fmt::format("<body>\n<main>\n<h1>{}</h1>\n<p class=\"data\">{}</p>\n",
                      escape_html(report.title), escape_html(report.data));
  html += fmt::format("<p class=\"verdict\">{}</p>\n", verdict(report));
  html += interruption(report);
  html += loss_scale(report);
  html += pca_note(report);
  html += loss_chart(report);
  html += picture(report);
  html += why_not_zero(report);
  html += epoch_table(report);
  html += "<div class=\"columns\">\n";
  html += pairs_table("Configuration", report.configuration);
  html += pairs_table("Machine", report.machine);
  html += fmt::format(
      "</div>\n<footer>Loss: {}. Trained in {:.1f} seconds.</footer>\n</main>\n</body>\n</html>\n",
      escape_html(report.loss_name), report.seconds);
  io::AtomicFile file(path);
  file.write(html);
  file.commit();
}

}  // namespace ae::report
