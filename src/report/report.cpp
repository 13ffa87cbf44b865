#include "report/report.hpp"

#include <cmath>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "io/atomic_file.hpp"
#include "report/html.hpp"
#include "report/loss_chart.hpp"
#include "report/loss_scale.hpp"
#include "report/row_lines.hpp"
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
  } else {
    text += " There is no gap between the two for a model to close.";
  }
  return text;
}

/// What the one figure of a variational model's loss is made of.
std::string variational_note(const Report& report) {
  if (!report.variational) return {};
  const VariationalParts& parts = *report.variational;
  return fmt::format(
      "<p>The loss of a variational model has two parts: the reconstruction, {}, and &beta; = {:g} "
      "times the KL divergence of the codes from their prior, {} nats a sample{}.</p>\n",
      bold(parts.reconstruction), parts.beta, bold(parts.kl),
      parts.is_mean && report.row_size > 0
          ? fmt::format(", divided by the {} values of a sample", format_count(report.row_size))
          : std::string());
}

std::string penalty_note(const Report& report) {
  if (report.epochs.empty() || std::isnan(report.epochs.back().penalty)) return {};
  return fmt::format(
      "<p>The code is sparse because its activity costs something: a penalty of {} in the last "
      "epoch, which training adds to the loss; the losses shown here are without it.</p>\n",
      bold(report.epochs.back().penalty));
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
  if (pca_is_complete(report)) {
    text = fmt::format(
        "The code has as many numbers as a row has values, {}: principal component analysis of "
        "that size loses nothing, so it says nothing about this model.",
        format_count(report.row_size));
  } else if (const auto& pca = report.baselines->pca) {
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

std::string figure(const Image& image, std::string_view alternative, std::string_view caption) {
  return fmt::format(
      "<figure><img alt=\"{}\" width=\"{}\" height=\"{}\" src=\"data:image/png;base64,{}\">"
      "<figcaption>{}</figcaption></figure>\n",
      alternative, image.width, image.height, encode_base64(encode_png(image)), caption);
}

std::string reconstructions(const Report& report) {
  std::string html;
  if (report.reconstructions) {
    html = figure(*report.reconstructions, "Originals above their reconstructions",
                  "Samples, and below each what the model makes of its code.");
  } else if (report.row_lines) {
    html = row_lines(*report.row_lines, "Samples in grey, in blue what the model makes of them.");
  }
  return html.empty() ? html : "<h2>Reconstructions</h2>\n" + html;
}

std::string samples(const Report& report) {
  std::string html;
  if (report.samples) {
    html = figure(*report.samples, "What the decoder makes of random codes",
                  "What the decoder makes of random codes, drawn from the prior.");
  } else if (report.sample_lines) {
    html = row_lines(*report.sample_lines,
                     "What the decoder makes of random codes, drawn from the prior.");
  }
  return html.empty() ? html : "<h2>Samples from the prior</h2>\n" + html;
}

std::string epoch_table(const Report& report) {
  if (report.epochs.empty()) return {};
  std::string html =
      "<details><summary>Every epoch in numbers</summary>\n<div class=\"scroll\"><table "
      "class=\"numbers\">\n<tr>";
  // Only what these epochs have.
  const bool has_kl = !std::isnan(report.epochs.back().train_kl);
  const bool has_penalty = !std::isnan(report.epochs.back().penalty);
  const auto add_heading = [&](std::string_view text) {
    html += fmt::format("<th scope=\"col\">{}</th>", text);
  };
  for (const char* heading : {"Epoch", "Training loss", "Test loss"}) add_heading(heading);
  if (has_kl) add_heading("Training KL");
  if (has_penalty) add_heading("Penalty");
  for (const char* heading : {"Seconds", "Samples/s"}) add_heading(heading);
  html += "</tr>\n";
  for (const EpochResult& epoch : report.epochs) {
    html += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td>", format_count(epoch.epoch),
                        format_loss(epoch.train_loss), format_loss(epoch.validation_loss));
    if (has_kl) html += fmt::format("<td>{}</td>", format_loss(epoch.train_kl));
    if (has_penalty) html += fmt::format("<td>{}</td>", format_loss(epoch.penalty));
    html += fmt::format("<td>{:.3f}</td><td>{}</td></tr>\n", epoch.seconds,
                        format_rate(epoch.samples_per_second));
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

bool pca_is_complete(const Report& report) {
  return report.baselines && report.baselines->pca && report.row_size > 0 &&
         report.baselines->pca->components >= report.row_size;
}

void write_report(const Report& report, const std::filesystem::path& path) {
  std::string html = head(report);
  html += fmt::format("<body>\n<main>\n<h1>{}</h1>\n<p class=\"data\">{}</p>\n",
                      escape_html(report.title), escape_html(report.data));
  html += fmt::format("<p class=\"verdict\">{}</p>\n", verdict(report));
  html += interruption(report);
  html += variational_note(report);
  html += penalty_note(report);
  html += loss_scale(report);
  html += pca_note(report);
  html += loss_chart(report);
  html += reconstructions(report);
  html += samples(report);
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
