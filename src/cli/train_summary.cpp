#include "cli/train_summary.hpp"

#include <cmath>

#include <fmt/format.h>

#include "report/html.hpp"

namespace ae::cli {

namespace {

using report::format_loss;
using report::format_percent;

std::string loss_line(const report::Report& report) {
  std::string line;
  if (std::isfinite(report.test_loss)) {
    line = fmt::format("test loss {:.5f} ({}), ", report.test_loss, report.loss_name);
  } else if (!report.epochs.empty()) {
    line =
        fmt::format("train loss {:.5f} ({}), ", report.epochs.back().train_loss, report.loss_name);
  }
  const std::size_t epochs = report.epochs.size();
  return fmt::format("{}{} {} in {:.1f} s\n", line, epochs, epochs == 1 ? "epoch" : "epochs",
                     report.seconds);
}

/// The same verdict as the report's.
std::string baselines_line(const report::Report& report) {
  if (!report.baselines || !std::isfinite(report.test_loss)) return {};
  const double gap = report::closed_gap(*report.baselines, report.test_loss);
  const std::string verdict = gap >= 0  ? format_percent(gap) + " of that gap closed"
                              : gap < 0 ? "the model is worse than that"
                                        : "there is no gap between them to close";
  return fmt::format("floor {}, mean {} {}: {}\n", format_loss(report.baselines->floor),
                     report.reconstructions ? "image" : "row",
                     format_loss(report.baselines->mean_image), verdict);
}

}  // namespace

std::string train_summary(const report::Report& report, const CodeStatistics& codes,
                          std::int64_t latent) {
  std::string text = loss_line(report);
  if (report.variational) {
    text += fmt::format("reconstruction {:.5f}, KL {:.3f} nats a sample\n",
                        report.variational->reconstruction, report.variational->kl);
  }
  if (!report.epochs.empty() && !std::isnan(report.epochs.back().penalty)) {
    text += fmt::format("penalty {:.5g} in the last epoch, beside that loss\n",
                        report.epochs.back().penalty);
  }
  return text + baselines_line(report) +
         fmt::format("code     {} of {} units active, mean activation {:.4g}, {} zeros\n",
                     codes.active_units, latent, codes.mean_activation,
                     format_percent(codes.zeros));
}

}  // namespace ae::cli
