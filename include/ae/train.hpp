#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "ae/dataset.hpp"
#include "ae/device.hpp"
#include "ae/loss.hpp"
#include "ae/model.hpp"
#include "ae/noise.hpp"
#include "ae/optimizer.hpp"
#include "ae/schedule.hpp"
#include "ae/sparsity.hpp"

namespace ae {

/// How a variational autoencoder's loss is made: Σ loss + β·KL(q(z|x) ‖ N(0, I)), for each sample
///   KL = Σⱼ ½·(μⱼ² + σⱼ² - 1 - ln σⱼ²)  (Kingma & Welling, ICLR 2014, appendix B).
/// With Reduction::mean both parts are divided by the number of a sample's elements, so that their
/// balance, and with it the model, is the same as with Reduction::sum.
struct VariationalOptions {
  float beta = 1;            ///< β ≥ 0 (Higgins et al., ICLR 2017)
  float warm_up_epochs = 0;  ///< β grows from 0 over these (Sønderby et al., 2016)
  float free_bits = 0;  ///< nats of KL that each latent number has for nothing, ≥ 0 (Kingma et
                        ///< al., 2016, appendix C.8); the reported KL counts them
};

struct EpochResult {
  std::int64_t epoch = 0;  ///< 1-based
  double train_loss = 0;   ///< mean over the epoch's samples, with the weights as they moved
  /// NaN where there is none:
  double validation_loss = std::numeric_limits<double>::quiet_NaN();  ///< held-out, after the epoch
  double validation_reconstruction =
      std::numeric_limits<double>::quiet_NaN();                ///< of that, its part
  double train_kl = std::numeric_limits<double>::quiet_NaN();  ///< variational, nats a sample
  double validation_kl = std::numeric_limits<double>::quiet_NaN();
  double penalty = std::numeric_limits<double>::quiet_NaN();  ///< see SparsityOptions
  double seconds = 0;             ///< training alone, without the validation
  double samples_per_second = 0;  ///< 0 where the clock saw no time pass
  float learning_rate = 0;        ///< of the epoch's last step
};

/// The epoch under way, for a progress display.
struct StepProgress {
  std::int64_t epoch = 0;
  std::int64_t samples_done = 0;
  std::int64_t samples = 0;
  double running_loss = 0;  ///< mean over the samples done; NaN where the device keeps it to itself
  double seconds = 0;
};

/// Defaults are the Keras example's.
struct TrainOptions {
  std::int64_t epochs = 50;
  std::int64_t batch_size = 256;  ///< rows are reshuffled every epoch; the short last batch counts
  std::uint64_t seed = 1;         ///< of the shuffles; `Model::initialize` has its own
  Loss loss = Loss::bce;
  Reduction reduction = Reduction::mean;
  NoiseOptions noise{};
  SparsityOptions sparsity{};        ///< beside the loss, not part of it as it is reported
  VariationalOptions variational{};  ///< part of the loss as it is reported
  OptimizerOptions optimizer;
  ScheduleOptions schedule;
  /// c: where the norm of all gradients together is larger, they are scaled down to it as PyTorch's
  /// clip_grad_norm_ does, g ← g·min(1, c/(‖g‖ + 1e-6)); before the optimiser adds any weight
  /// decay. 0 leaves them as they are.
  float clip_norm = 0;
  /// d, [0, 1): above 0, an exponential moving average of the weights is kept, a ← d·a + (1-d)·w
  /// after each step, beginning with the initial weights. As with PyTorch's AveragedModel and
  /// Keras's use_ema it is what is validated and what the model gets; the training goes on with the
  /// weights themselves.
  float ema_decay = 0;
  DeviceOptions device;

  // The caller's functions may throw: that ends the training, leaves the numbers as they are then
  // in the model, and comes out of train().
  /// Called after every epoch; may be empty.
  std::function<void(const EpochResult&)> on_epoch;
  /// Called about ten times a second within an epoch; may be empty.
  std::function<void(const StepProgress&)> on_progress;
  /// Asked after every step; true ends the training there, with the model as it is.
  std::function<bool()> stop_requested;

  /// @throws UsageError if a value is out of its range.
  void validate() const;
};

struct TrainResult {
  std::vector<EpochResult> epochs;  ///< the finished ones
  bool interrupted = false;
  std::string device;  ///< what it ran on: "cpu", "cuda:0"
  double seconds = 0;  ///< training and validation together
};

/// What train() checks before it begins. `validation` may be null.
///
/// The output activation is the caller's choice: `dense_autoencoder` and `parse_model` make it a
/// sigmoid, which suits data in [0, 1]. For any other, give them Activation::identity, and a loss
/// other than BCE. BCE takes values that are outside [0, 1] by no more than 1e-6, a scaler's
/// rounding, as they are; Dataset::clamp_rounding brings them in.
/// @throws UsageError if options, model and data do not fit together (BCE without a sigmoid output,
///   an output activation that cannot reach the training data's values, see output_range, sparsity
///   of a code that is not a dense layer's), DataMismatch among them (other row sizes, no rows);
///   Error for values outside [0, 1] with BCE, NaN, or images with the channels first for a model
///   that takes them last.
void require_trainable(const ModelSpec& spec, const Dataset& training, const Dataset* validation,
                       const TrainOptions& options);

/// Trains `model` in place, and notes in its `training` how (loss, reduction, noise, seed, epochs,
/// …), so that `ae evaluate` knows. The same model, seed, data and device give the same bits,
/// whatever the number of threads, on one instruction set of the CPU and with one version of
/// oneDNN, see ae.hpp.
/// @throws UsageError as Model::validate and require_trainable, and for a device that is none;
///   Error as require_trainable, for a device that cannot be used, for a loss that became NaN; what
///   a function of `options` threw, with `model` as trained so far. After other errors `model` is
///   as it was.
TrainResult train(Model& model, const Dataset& training, const Dataset* validation,
                  const TrainOptions& options);

}  // namespace ae
