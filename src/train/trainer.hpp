#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "ae/train.hpp"

#include "device/device.hpp"
#include "model/network.hpp"
#include "train/evaluation.hpp"
#include "train/learning_rate.hpp"
#include "train/training_state.hpp"

namespace ae {

/// One training: a model, its data and its optimiser's state on a device. The step is compiled once
/// and replayed for every batch; the batch is chosen by the device's own step counter.
class Trainer {
 public:
  Trainer(Device& device, Model& model, const Dataset& training, const Dataset* validation,
          const TrainOptions& options);

  /// The state after the epochs that are done, or that it began with.
  [[nodiscard]] TrainingState state() const;
  /// Goes on from a state of the same model and options: run() then continues with the epoch after
  /// its last, and what it makes has the bits of a training that was never interrupted.
  /// @throws Error if the state is another model's or lacks what the options need.
  void restore(const TrainingState& state);

  /// Trains to the end or until stopped, and leaves the numbers in the model; also when one of the
  /// caller's functions throws, whose exception then leaves.
  TrainResult run();

 private:
  /// The buffers that are a part of the state, by the prefix of their tensors.
  struct StateBuffer {
    const char* prefix;
    float* data;
    std::int64_t size;
  };
  [[nodiscard]] std::vector<StateBuffer> state_buffers() const;
  /// What one step does, for a batch of `rows`.
  [[nodiscard]] Step step(std::int64_t rows);
  /// What is validated and becomes the model: the weights, or their average.
  [[nodiscard]] const Parameters& outcome() const { return average_ ? *average_ : parameters_; }
  /// Leaves the numbers as they are now in the model.
  void store();
  /// Calls one of the caller's functions, which may be empty.
  template <typename Function, typename... Arguments>
  auto call(const Function& function, const Arguments&... arguments);
  /// Trains through the rows in the order in `order_`, and makes the next. False if stopped on the
  /// way.
  bool run_epoch(std::int64_t epoch, EpochResult& result);
  /// The epoch's means, from the sums of its steps.
  void read_sums(EpochResult& result) const;
  /// @throws Error if the epoch's losses are not numbers: the training diverged.
  void require_finite(const EpochResult& epoch) const;
  void report_progress(std::int64_t epoch, std::int64_t samples, double seconds);

  Device& device_;
  Model& model_;
  const TrainOptions& options_;
  std::int64_t rows_;
  std::int64_t batch_;
  std::int64_t steps_per_epoch_;
  std::int64_t epochs_done_ = 0;
  double density_;
  bool is_variational_;

  std::unique_ptr<ResidentData> data_;
  std::vector<std::int32_t> order_;  ///< of the epoch to come
  DeviceArray<std::int32_t> permutation_;
  DeviceArray<std::int64_t> step_count_;
  DeviceArray<double> sums_;  ///< of losses, KL divergences and penalties, in this order
  DeviceArray<float> x_;
  DeviceArray<float> noisy_;
  Parameters parameters_;
  DeviceArray<float> gradients_;
  DeviceArray<float> first_state_;  ///< the optimiser's, as many as it keeps
  DeviceArray<float> second_state_;
  std::optional<Parameters> average_;  ///< of the weights; none unless asked for
  LearningRate learning_rate_;
  std::vector<float> rates_;  ///< of the epoch's steps; none where the learning rate is constant
  DeviceArray<float> device_rates_;
  DeviceArray<float> clip_scale_;  ///< one, where gradients are clipped
  Network network_;
  std::optional<Evaluation> validation_;
  std::unique_ptr<Program> full_step_;
  std::unique_ptr<Program> last_step_;  ///< of an epoch, where its batch is shorter
};

}  // namespace ae
