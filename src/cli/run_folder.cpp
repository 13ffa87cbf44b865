#include "cli/run_folder.hpp"

#include <cerrno>
#include <cmath>
#include <string>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "io/os_error.hpp"

namespace ae::cli {

namespace {

namespace fs = std::filesystem;

constexpr const char* kModel = "model.safetensors";
constexpr const char* kMetrics = "metrics.csv";
constexpr const char* kConfig = "config.toml";
constexpr const char* kPicture = "reconstructions.png";
constexpr const char* kReport = "report.html";
constexpr const char* kUnfinished = "unfinished";

/// Removes files that may not be there. What cannot be removed will be reported by its writer.
void remove_files(const fs::path& folder, std::initializer_list<const char*> names) {
  std::error_code ignored;
  for (const char* name : names) fs::remove(folder / name, ignored);
}

void remove_unfinished(const fs::path& folder) {
  remove_files(folder, {kModel, kMetrics, kConfig});
  std::error_code ignored;
  fs::remove(folder, ignored);  // if it is empty
}

}  // namespace

RunFolder::RunFolder(ClaimedFolder folder, std::uint64_t model_bytes)
    : claimed_(std::move(folder)), work_(claimed_.path()) {
  for (const char* name : {kConfig, kPicture, kReport}) io::require_writable(work_ / name);
  reserved_.emplace(model());
  reserved_->reserve(model_bytes);

  remove_unfinished(claimed_.path() / kUnfinished);
  if (fs::exists(model())) {
    work_ /= kUnfinished;
    std::error_code error;
    fs::create_directory(work_, error);
    if (error) {
      throw Error(fmt::format("the folder {} cannot be made, {}, remove what is there",
                              work_.string(), error.message()));
    }
  }
  start_metrics();
  remove_files(work_, {kPicture, kReport});  // a killed run's
}

fs::path RunFolder::model() const {
  return claimed_.path() / kModel;
}
fs::path RunFolder::picture() const {
  return claimed_.path() / kPicture;
}
fs::path RunFolder::report() const {
  return claimed_.path() / kReport;
}

void RunFolder::start_metrics() {
  errno = 0;
  metrics_.open(work_ / kMetrics, std::ios::trunc);
  metrics_ << "epoch,train_loss,val_loss,seconds,samples_per_second,learning_rate,train_kl,val_kl,"
              "penalty\n"
           << std::flush;
  require_metrics();
}

void RunFolder::require_metrics() const {
  if (metrics_) return;
  throw Error(io::os_error_message(fmt::format("{} cannot be written", (work_ / kMetrics).string()),
                                   errno));
}

void RunFolder::write_config(std::string_view toml) const {
  io::AtomicFile file(work_ / kConfig);
  file.write(toml);
  file.commit();
}

void RunFolder::add_metrics(const EpochResult& epoch) {
  const auto field = [](double value) {
    return std::isnan(value) ? std::string() : fmt::format("{:.9g}", value);
  };
  errno = 0;
  metrics_ << fmt::format("{},{:.9g},{},{:.6f},{:.0f},{},{},{},{}\n", epoch.epoch, epoch.train_loss,
                          field(epoch.validation_loss), epoch.seconds, epoch.samples_per_second,
                          epoch.learning_rate, field(epoch.train_kl), field(epoch.validation_kl),
                          field(epoch.penalty))
           << std::flush;
  require_metrics();
}

void RunFolder::save(const Model& model) {
  reserved_.reset();
  save_model(model, work_ / kModel);
  if (work_ != claimed_.path()) replace_earlier_run(model);
}

void RunFolder::replace_earlier_run(const Model& model) {
  const fs::path& folder = claimed_.path();
  // Whenever this is cut short, all that stands beside a model is its own.
  remove_files(folder, {kMetrics, kConfig, kPicture, kReport});
  std::error_code error;
  fs::rename(work_ / kModel, io::through_links(this->model()), error);
  if (error) save_model(model, this->model());  // a link to another disk
  for (const char* name : {kMetrics, kConfig}) {
    fs::rename(work_ / name, folder / name, error);
    if (error) {
      throw Error(fmt::format("{} cannot be moved into {}, {}, move it yourself",
                              (work_ / name).string(), folder.string(), error.message()));
    }
  }
  remove_unfinished(work_);
  work_ = folder;
}

}  // namespace ae::cli
