#include "training_bench.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "device/cuda/cuda_device.hpp"
#include "device/device.hpp"
#include "executors/make_device.hpp"
#include "executors/timing_device.hpp"
#include "train/evaluation.hpp"
#include "train/trainer.hpp"

namespace ae {

namespace {

constexpr int kStageSamples = 10;  // where a stage is timed on one batch

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// All timings of one stage, in the order in which stages first appear within a step.
struct StageSamples {
  std::string stage;
  double gflop = 0;
  std::vector<double> seconds;
};

/// GFLOP/s on a product that every part of the device can be busy with and whose operands stay in
/// cache: (4096, 256)·(256, 256). The best of many, since other programs only ever slow it down.
double measure_gemm_rate(Device& device) {
  constexpr std::int64_t kRows = 4096;
  constexpr std::int64_t kWidth = 256;
  constexpr int kRepeats = 50;
  const DeviceArray<float> x(device, kRows * kWidth);
  const DeviceArray<float> w(device, kWidth * kWidth);
  const DeviceArray<float> y(device, kRows * kWidth);
  double best = std::numeric_limits<double>::infinity();
  const std::unique_ptr<Device> timing = make_timing_device(
      device, [&](const TimedOperation& op) { best = std::min(best, op.seconds / op.flop); });
  for (int i = 0; i < kRepeats; ++i) {
    timing->run(DenseForward{.x = {x.data(), kRows, kWidth},
                             .w = {w.data(), kWidth, kWidth},
                             .y = {y.data(), kRows, kWidth}});
  }
  return 1e-9 / best;
}

/// The seconds of whole epochs, run as training runs them, after one to warm up.
std::vector<double> time_epochs(const ModelSpec& spec, const Dataset& data,
                                const TrainOptions& options, int repeats, Device& device) {
  TrainOptions whole_epochs = options;
  whole_epochs.epochs = repeats + 1;
  Model model = Model::initialize(spec, options.seed);
  const TrainResult trained = Trainer(device, model, data, nullptr, whole_epochs).run();
  std::vector<double> seconds;
  for (std::size_t i = 1; i < trained.epochs.size(); ++i) {
    seconds.push_back(trained.epochs[i].seconds);
  }
  return seconds;
}

void append(std::vector<double>& all, const std::vector<double>& more) {
  all.insert(all.end(), more.begin(), more.end());
}

bool has_convolution(const ModelSpec& spec) {
  const std::vector<LayerSpec> layers = spec.layers();
  return std::any_of(layers.begin(), layers.end(), [](const LayerSpec& layer) {
    return std::holds_alternative<ConvolutionSpec>(layer);
  });
}

/// Of the first layer that has biases; 0 without one.
std::int64_t first_units(const ModelSpec& spec) {
  for (const LayerSlice& slice : layer_slices(spec)) {
    if (const TensorSlice* const bias = slice.find("bias")) return bias->size();
  }
  return 0;
}

/// The stages of a step, in their order; `data` are whole batches. On an asynchronous device they
/// must be one batch: see make_timing_device.
std::vector<StageSamples> time_stages(const ModelSpec& spec, const Dataset& data,
                                      const TrainOptions& options, Device& device) {
  std::vector<StageSamples> stages;
  const auto note = [&](const TimedOperation& op) {
    std::string name = op.layer.empty() ? std::string(op.stage)
                                        : std::string(op.layer) + " " + std::string(op.stage);
    auto found = std::find_if(stages.begin(), stages.end(),
                              [&](const StageSamples& stage) { return stage.stage == name; });
    if (found == stages.end()) {
      found = stages.insert(stages.end(), {std::move(name), op.flop * 1e-9, {}});
    }
    found->seconds.push_back(op.seconds);
  };
  const std::unique_ptr<Device> timing = make_timing_device(device, note);
  TrainOptions timed = options;
  timed.epochs = 1;
  timed.on_epoch = nullptr;
  // An asynchronous device repeats the optimiser's update many times with one gradient. A second
  // step with those weights can overflow, so each sample starts from new ones.
  const int samples = device.is_asynchronous() ? kStageSamples : 1;
  for (int sample = 0; sample < samples; ++sample) {
    Model model = Model::initialize(spec, options.seed);
    Trainer(*timing, model, data, nullptr, timed).run();
  }
  return stages;
}

}  // namespace

BenchResult bench_training(const ModelSpec& spec, const Dataset& data, const TrainOptions& options,
                           int repeats) {
  options.validate();
  require_fit(spec, data);
  require_loss_fits(spec, data, options.loss);
  TrainOptions quiet = options;
  quiet.on_progress = nullptr;
  // A device of its own for each, so that none finds memory that another has taken.
  const auto epochs_with = [&](const DeviceOptions& device) {
    return time_epochs(spec, data, quiet, repeats, *make_device(device));
  };

  BenchResult result;
  result.batch_size = std::min(options.batch_size, data.rows());
  result.steps_per_epoch = (data.rows() + result.batch_size - 1) / result.batch_size;
  std::vector<double> epochs = epochs_with(options.device);
  if (is_cuda_device(resolve_device(options.device).name)) {
    // Each in turn with ours, so that a clock that rises or falls does so for both.
    const auto compare = [&](std::string DeviceOptions::*choice, const std::string& ours,
                             const std::string& other) {
      DeviceOptions with_other = options.device;
      with_other.*choice = other;
      std::vector<double> other_epochs = epochs_with(with_other);
      append(epochs, epochs_with(options.device));
      append(other_epochs, epochs_with(with_other));
      return OtherLibrary{ours, other, median(other_epochs)};
    };
    const auto the_other = [](bool is_first, std::string_view first, std::string_view second) {
      return std::pair(std::string(is_first ? first : second),
                       std::string(is_first ? second : first));
    };
    const auto [gemm, other_gemm] =
        the_other(options.device.gemm == "cublas", "cublas", "cublaslt");
    result.gemm = compare(&DeviceOptions::gemm, gemm, other_gemm);
    if (has_cudnn() && has_convolution(spec)) {
      const auto [ours, other] = the_other(convolves_by_cudnn(options.device), "cudnn", "own");
      result.convolution = compare(&DeviceOptions::convolution, ours, other);
    }
    result.variants =
        time_cuda_variants(options.device, result.batch_size, spec.inputs(), first_units(spec));
  }
  if (!epochs.empty()) {
    result.epoch_seconds = median(epochs);
    result.epoch_seconds_min = *std::min_element(epochs.begin(), epochs.end());
    result.epoch_seconds_max = *std::max_element(epochs.begin(), epochs.end());
  }

  const std::unique_ptr<Device> device = make_device(options.device);
  result.device = device->name();
  const std::vector<StageSamples> stages = time_stages(
      spec,
      data.first(device->is_asynchronous() ? result.batch_size
                                           : data.rows() / result.batch_size * result.batch_size),
      quiet, *device);
  for (const StageSamples& stage : stages) {
    result.stages.push_back({stage.stage, median(stage.seconds), stage.gflop});
    result.step_seconds += result.stages.back().seconds;
  }
  result.gemm_peak_gflops = measure_gemm_rate(*device);
  return result;
}

}  // namespace ae
