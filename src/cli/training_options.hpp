#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ae/model.hpp"
#include "ae/train.hpp"

#include "cli/options.hpp"

namespace ae::cli {

/// What is trained and how: the options that `train` and `bench` share, and recipes consist of.
struct TrainingOptions {
  TrainOptions training;

  void add_to(Options& options);

  /// Turns names into what the library takes, and checks all that can be checked without the data.
  void resolve(const Options& options);

  /// Where the output activation was left open and the loss is not BCE, takes identity for values
  /// outside [0, 1], which a sigmoid cannot reach. Returns a note that says so, or nothing.
  /// @throws UsageError for an output activation that was asked for and cannot reach the values,
  /// with the option to give.
  std::string fit_output(const Dataset& rows);

  /// Whether a layer works on images.
  [[nodiscard]] bool has_image_layer() const;

  /// The model for samples of that shape.
  [[nodiscard]] ModelSpec model(Shape input_shape) const;

  /// A short name of the model, for folders: "128-64-32".
  [[nodiscard]] std::string short_name() const;

 private:
  std::vector<std::int64_t> hidden_ = {32};
  std::vector<std::string> encoder_;
  std::vector<std::string> decoder_;
  bool tied_ = false;
  std::string activation_{to_string(Activation::relu)};
  std::string output_activation_{to_string(Activation::sigmoid)};
  bool output_activation_is_given_ = false;
  std::string loss_{to_string(training.loss)};
  std::string reduction_{to_string(training.reduction)};
  std::string optimizer_{to_string(training.optimizer.kind)};
  std::string schedule_{to_string(training.schedule.kind)};
  std::string noise_{to_string(training.noise.kind)};
};

/// "784 → 32 → 784", "28x28 → 14x14x32 → …": the shapes between the layers.
std::string shapes_through(const ModelSpec& spec);

/// How the learning rate moves: "0.001", "0.001, cosine to 0, 2 epochs of warm-up".
std::string learning_rate(const TrainOptions& options);

/// "binary cross-entropy, mean over all elements", of a variational model with "+ KL".
std::string loss_name(const TrainOptions& options, const ModelSpec& spec);

}  // namespace ae::cli
