#include "cli/progress.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/output.hpp"
#include "report/html.hpp"

namespace ae::cli {

namespace {

using report::format_loss;
using report::format_rate;

/// "████▌     ", in eighths of a character.
std::string bar(double fraction, int width) {
  static constexpr const char* kParts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int eighths = static_cast<int>(std::clamp(fraction, 0.0, 1.0) * width * 8);
  std::string text;
  for (int i = 0; i < eighths / 8; ++i) text += "█";
  text += kParts[eighths % 8];
  const int filled = eighths / 8 + (eighths % 8 != 0 ? 1 : 0);
  return text + std::string(static_cast<std::size_t>(width - filled), ' ');
}

std::string duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::ceil(seconds));
  if (whole < 60) return fmt::format("{}s", whole);
  if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
}

/// 0.001F as 0.001, not as the 0.0010000000474974513 that it is in double.
double shortest(float value) {
  return std::stod(fmt::format("{}", value));
}

}  // namespace

Progress::Progress(Voice voice, std::int64_t epochs, Rate rate)
    : voice_(voice),
      epochs_(epochs),
      rate_(rate),
      is_live_(voice == Voice::human && stdout_has_live_lines()) {}

void Progress::show(const StepProgress& progress) {
  if (!is_live_) return;
  const double done =
      static_cast<double>(progress.samples_done) / static_cast<double>(progress.samples);
  if (!(progress.seconds > 0) || progress.samples_done < 1) return;  // no rate to show yet
  const double rate = static_cast<double>(progress.samples_done) / progress.seconds;
  const double samples_left = static_cast<double>(progress.samples) *
                              (static_cast<double>(epochs_ - progress.epoch) + (1 - done));
  const std::string head =
      fmt::format("epoch {:>{}}/{} ", progress.epoch, std::to_string(epochs_).size(), epochs_);
  const std::string tail =
      fmt::format(" {} samples/s  {} left{}", format_rate(rate), duration(samples_left / rate),
                  std::isnan(progress.running_loss)
                      ? ""
                      : fmt::format("  loss {}", format_loss(progress.running_loss)));
  const int room = terminal_width() - static_cast<int>(head.size() + tail.size()) - 1;
  if (room < 0) return;  // a line that wraps could not be cleared
  print(kClearLine + head + bar(done, std::min(room, 24)) + tail);
  has_live_line_ = true;
}

void Progress::show(const EpochResult& epoch) {
  if (voice_ == Voice::quiet) return;
  if (voice_ == Voice::json) {
    print_json({{"event", "epoch"},
                {"epoch", epoch.epoch},
                {"train_loss", epoch.train_loss},
                {"val_loss", epoch.validation_loss},
                {"seconds", epoch.seconds},
                {"samples_per_second", epoch.samples_per_second},
                {"train_kl", epoch.train_kl},
                {"val_kl", epoch.validation_kl},
                {"penalty", epoch.penalty},
                {"learning_rate", shortest(epoch.learning_rate)}});
    return;
  }
  clear();
  std::string line = fmt::format("epoch {:>{}}/{}  train loss {:.5f}", epoch.epoch,
                                 std::to_string(epochs_).size(), epochs_, epoch.train_loss);
  if (!std::isnan(epoch.validation_loss)) {
    line += fmt::format("  validation loss {:.5f}", epoch.validation_loss);
  }
  if (!std::isnan(epoch.train_kl)) line += fmt::format("  KL {:.2f}", epoch.train_kl);
  if (!std::isnan(epoch.penalty)) line += fmt::format("  penalty {:.2g}", epoch.penalty);
  if (rate_ == Rate::shown) line += fmt::format("  learning rate {:.3g}", epoch.learning_rate);
  print(fmt::format("{}  {:.2f} s  {} samples/s\n", line, epoch.seconds,
                    format_rate(epoch.samples_per_second)));
}

void Progress::clear() {
  if (has_live_line_) print(kClearLine);
  has_live_line_ = false;
}

}  // namespace ae::cli
