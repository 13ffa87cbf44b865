#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "ae/dataset.hpp"
#include "ae/device.hpp"
#include "ae/model.hpp"

namespace ae {

/// How far a reconstruction y (or its logit z) is from its target t, for one element, d = y - t.
///   bce       -t·ln y - (1-t)·ln(1-y), computed from the logit: max(z,0) - z·t + ln(1+e^-|z|)
///   mse       d²
///   mae       |d|; its gradient is 0 where d is
///   huber     d²/2 where |d| ≤ 1, |d| - 1/2 beyond (δ = 1, the frameworks' default)
///   gaussian  ½·(d² + ln 2π) = -ln N(t; y, 1): nats, of a decoder whose pixels are Gaussian
///             (Kingma & Welling 2014, appendix C.2, with a variance of 1)
enum class Loss : std::uint8_t { bce, mse, mae, huber, gaussian };

/// What is averaged. Keras's losses are `mean`s over all elements; textbooks write
/// (1/N)·Σ‖x-y‖², the `sum` over a sample's elements averaged over the N samples. The two differ by
/// a factor of row_size(), in the loss and in its gradient.
enum class Reduction : std::uint8_t { mean, sum };

/// What one step makes of a parameter w and its gradient g, with the numbers kept for it, zero at
/// first.
///   adam      m ← β₁m + (1-β₁)g,  v ← β₂v + (1-β₂)g²,
///             w ← w - η·√(1-β₂ᵗ)/(1-β₁ᵗ) · m/(√v + ε)
///             as Keras writes it (Kingma & Ba 2015, the form before section 2.1's end): ε is added
///             to the uncorrected √v. PyTorch adds it to the corrected one.
///   adamw     the same after w ← w - ηλw (Loshchilov & Hutter 2019)
///   sgd       b ← μb + g,  w ← w - ηb, as PyTorch writes it; without momentum for μ = 0
///   nesterov  b ← μb + g,  w ← w - η(g + μb) (Sutskever et al. 2013)
///   rmsprop   v ← ρv + (1-ρ)g²,  w ← w - η·g/(√v + ε)
///   adadelta  v ← ρv + (1-ρ)g²,  d = √(u + ε)/√(v + ε)·g,  u ← ρu + (1-ρ)d²,  w ← w - ηd
///             (Zeiler 2012 has η = 1)
/// Weight decay λ is ½λw² beside the loss, g + λw for g, except with adamw.
enum class Optimizer : std::uint8_t { adam, adamw, sgd, nesterov, rmsprop, adadelta };

/// What is done to a training sample x before the encoder sees it; the target stays x.
///   gaussian         x + a·N(0, 1), not clipped
///   masking          each value becomes 0 with probability a
///   salt_and_pepper  each value becomes, with probability a, 0 or 1, either as likely
/// Source: Vincent et al., "Stacked denoising autoencoders", JMLR 2010, section 3.3.
enum class Noise : std::uint8_t { none, gaussian, masking, salt_and_pepper };
/// What becomes of the learning rate η after e epochs, e = s/S before step number s + 1 of S in
/// each epoch. After a warm-up of W epochs, whose steps have min(1, (s+1)/(W·S)) of it:
///   constant  η
///   step      η·factor^⌊e/step_epochs⌋
///   cosine    floor + (η - floor)·½(1 + cos(π·(e-W)/(E-W))) of E epochs in all, as SGDR without
///             restarts (Loshchilov & Hutter 2017, eq. 5); it begins where the warm-up ends
///   plateau   η·factorⁿ, n one more whenever `patience` epochs in a row have not brought the loss
///             below (1 - 1e-4) times its least so far; the loss of the validation, or that of the
///             training where there is none. As Keras's ReduceLROnPlateau, whose 1e-4 is absolute.
/// None of these falls below the floor.
enum class Schedule : std::uint8_t { constant, step, cosine, plateau };

std::string_view to_string(Loss loss);
std::string_view to_string(Reduction reduction);
std::string_view to_string(Optimizer optimizer);
std::string_view to_string(Noise noise);
std::string_view to_string(Schedule schedule);
/// @throws UsageError naming the known ones.
Loss parse_loss(std::string_view name);
Reduction parse_reduction(std::string_view name);
Optimizer parse_optimizer(std::string_view name);
Noise parse_noise(std::string_view name);
Schedule parse_schedule(std::string_view name);

/// Adam's defaults are Keras's. Others want a learning rate of their own, about 1 for sgd and
/// adadelta on images; adamw is adam until it is given a weight decay.
struct OptimizerOptions {
  Optimizer kind = Optimizer::adam;
  float learning_rate = 1e-3F;  ///< η > 0
  float beta1 = 0.9F;           ///< β₁, [0, 1)
  float beta2 = 0.999F;         ///< β₂, [0, 1)
  float epsilon = 1e-7F;        ///< ε > 0
  float momentum = 0.9F;        ///< μ, [0, 1)
  float rho = 0.9F;             ///< ρ, [0, 1)
  float weight_decay = 0;       ///< λ ≥ 0
};

struct ScheduleOptions {
  Schedule kind = Schedule::constant;
  float warm_up = 0;              ///< W, in epochs, whole or not, at most as many as there are
  float factor = 0.1F;            ///< of step and plateau, in (0, 1)
  std::int64_t step_epochs = 20;  ///< of step, ≥ 1
  std::int64_t patience = 10;     ///< of plateau, ≥ 1
  float floor = 0;                ///< a learning rate in [0, η]
};

struct NoiseOptions {
  Noise kind = Noise::none;
  float amount = 0;  ///< a: a standard deviation ≥ 0, or a probability in [0, 1]
};

/// What a code y costs beside the reconstruction, each added to the loss as it is reported:
///   l1·(1/N)·Σᵢ Σⱼ|yᵢⱼ|                 over a batch of N samples, as Keras's activity regulariser
///   kl·Σⱼ KL(ρ ‖ ρ̂ⱼ), ρ̂ⱼ = (1/N)·Σᵢ yᵢⱼ,  KL = ρ·ln(ρ/ρ̂ⱼ) + (1-ρ)·ln((1-ρ)/(1-ρ̂ⱼ))
/// Source of the second: Ng, "Sparse autoencoder", CS294A lecture notes; MATLAB's trainAutoencoder.
struct SparsityOptions {
  float l1 = 0;       ///< ≥ 0
  float kl = 0;       ///< ≥ 0; needs a code within (0, 1), a sigmoid's
  float rho = 0.05F;  ///< ρ, the target of each unit's mean activation, in (0, 1)

  [[nodiscard]] bool is_on() const { return l1 > 0 || kl > 0; }
};

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
