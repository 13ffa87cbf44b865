#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ae/dataset.hpp"
#include "ae/model.hpp"
#include "ae/train.hpp"

#include "cuda_variants.hpp"

namespace ae {

/// One stage of a training step, summed over the layers it works for.
struct StageTime {
  std::string stage;   ///< "gather", "encoder.0 forward", "loss", …
  double seconds = 0;  ///< median over the measured steps, for one full step
  double gflop = 0;    ///< arithmetic of its GEMMs in one step, 0 where there is none
};

/// Whose work the figures are of, where there is a choice, and what its alternative takes.
struct OtherLibrary {
  std::string ours;                ///< empty where there is no choice
  std::string other;               ///< timed in turn with ours
  double other_epoch_seconds = 0;  ///< its epochs' median
};

struct BenchResult {
  std::string device;
  std::int64_t batch_size = 0;
  std::int64_t steps_per_epoch = 0;
  double step_seconds = 0;   ///< sum of the stages
  double epoch_seconds = 0;  ///< median of whole epochs, timed without the stage clock
  double epoch_seconds_min = 0;
  double epoch_seconds_max = 0;
  /// The rate that this device reaches on a large product that stays in its caches, measured here
  /// through the same operation that training uses.
  double gemm_peak_gflops = 0;
  std::vector<StageTime> stages;

  // On a GPU:
  OtherLibrary gemm;         ///< see DeviceOptions::gemm
  OtherLibrary convolution;  ///< see DeviceOptions::convolution; of a model that has some
  std::vector<VariantTime> variants;
};

/// Trains `repeats` epochs for the whole-epoch time and one more with a clock around every stage.
/// On a GPU the stages are timed on the first step of ten trainings, each stage alone and repeated,
/// so their operands are in its caches.
BenchResult bench_training(const ModelSpec& spec, const Dataset& data, const TrainOptions& options,
                           int repeats);

}  // namespace ae
