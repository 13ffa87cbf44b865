#include "cli/run_folder.hpp"

#include <cmath>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "io/atomic_file.hpp"

namespace ae::cli {

RunFolder::RunFolder(std::filesystem::path folder) : folder_(std::move(folder)) {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) {
    throw Error(fmt::format("the run folder {} cannot be made, {}, choose another with --out",
                            folder_.string(), error.message()));
  }
  metrics_.open(folder_ / "metrics.csv", std::ios::trunc);
  metrics_ << "epoch,train_loss,val_loss,seconds,samples_per_second,learning_rate,train_kl,val_kl,"
              "penalty\n"
           << std::flush;
  if (!metrics_) {
    throw Error(
        fmt::format("{} cannot be written, check the folder's permissions and the disk's free "
                    "space, or choose another with --out",
                    (folder_ / "metrics.csv").string()));
  }
}

std::filesystem::path RunFolder::unused(std::string_view name) {
  const std::filesystem::path runs = "runs";
  std::filesystem::path folder = runs / name;
  for (int number = 2; std::filesystem::exists(folder / "model.safetensors"); ++number) {
    folder = runs / fmt::format("{}-{}", name, number);
  }
  return folder;
}

void RunFolder::write_config(std::string_view toml) const {
  io::AtomicFile file(folder_ / "config.toml");
  file.write(toml);
  file.commit();
}

void RunFolder::add_metrics(const EpochResult& epoch) {
  const auto field = [](double value) {
    return std::isnan(value) ? std::string() : fmt::format("{:.9g}", value);
  };
  metrics_ << fmt::format("{},{:.9g},{},{:.6f},{:.0f},{},{},{},{}\n", epoch.epoch, epoch.train_loss,
                          field(epoch.validation_loss), epoch.seconds, epoch.samples_per_second,
                          epoch.learning_rate, field(epoch.train_kl), field(epoch.validation_kl),
                          field(epoch.penalty))
           << std::flush;
  if (!metrics_) {
    throw Error(fmt::format("{} cannot be written, free some space on its disk",
                            (folder_ / "metrics.csv").string()));
  }
}

}  // namespace ae::cli
