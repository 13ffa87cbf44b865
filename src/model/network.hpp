#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "ae/model.hpp"

#include "device/device.hpp"
#include "layers/layer.hpp"
#include "model/parameters.hpp"
#include "step/step.hpp"

namespace ae {

/// The layers of a model at work on up to `max_rows` rows: their outputs, kept for the backward
/// pass, live here; their parameters are shared with other networks of the same model.
class Network {
 public:
  enum class Use : std::uint8_t { inference, training };

  Network(Device& device, const ModelSpec& spec, const Parameters& parameters,
          std::int64_t max_rows, Use use);

  [[nodiscard]] std::size_t depth() const { return layers_.size(); }

  /// Adds layers first … last - 1 to a step, activations included; a Gaussian code is its mean.
  /// Returns the last one's output.
  Matrix run(Step& step, Matrix x, std::size_t first, std::size_t last);

  /// All layers, the last one without bias and activation: what losses start from. `x_density` is
  /// about what fraction of x is not zero. In a network made for training, dropout and batch norm
  /// use training behaviour here; run() always uses inference behaviour.
  Matrix run_to_logits(Step& step, Matrix x, double x_density, const CodeDraw& draw = {});

  /// The gradients of all trainable parameters, laid out as they are; `logits` are of
  /// run_to_logits, with the same draw, and are overwritten. For networks made for training.
  void backward(Step& step, Matrix logits, ConstMatrix target, const Objective& objective,
                const CodeDraw& draw, float* gradients, const StepSums& sums);

  /// Each row's Σ loss against `target`, from run_to_logits.
  void row_losses(Step& step, ConstMatrix logits, ConstMatrix target, Loss loss,
                  Tensor<double> sums);

 private:
  [[nodiscard]] ConstMatrix output_bias() const;

  const Parameters& parameters_;
  Use use_;
  TensorSlice output_bias_;
  Activation output_activation_;
  std::vector<std::unique_ptr<Layer>> layers_;
  std::size_t first_learning_;  ///< below it a backward pass has nothing to do
  std::size_t code_layer_;      ///< the encoder's last
  Matrix code_;                 ///< its output
};

}  // namespace ae
