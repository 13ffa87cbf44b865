#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "ae/layers.hpp"
#include "ae/loss.hpp"
#include "ae/sparsity.hpp"

#include "device/device.hpp"
#include "step/step.hpp"

namespace ae {

/// Where the random numbers of a Gaussian code, and in training of dropout, come from: see
/// GaussianSample and DropoutMask.
struct CodeDraw {
  bool mean_only = true;
  std::uint64_t seed = 0;
  Tensor<const std::int64_t> step{};
  std::int64_t first_row = 0;
  Tensor<double> kl{};  ///< each row's; may be left out
};

/// What a training step makes smaller, and by how much each part of it counts.
struct Objective {
  Loss loss = Loss::bce;
  float gradient_scale = 1;  ///< of the losses of the batch's elements, and of the KL divergence
  SparsityOptions sparsity{};
  float beta = 1;
  std::int64_t warm_up_steps = 0;  ///< over which beta grows from nothing
  float free_bits = 0;
};

/// Sums that a step adds to, on the device.
struct StepSums {
  Tensor<double> loss{};     ///< of the reconstruction
  Tensor<double> penalty{};  ///< of a sparse code, see SparsityBackward
  Tensor<double> kl{};       ///< of a Gaussian code, see GaussianBackward
};

/// One pass through the layers, first to last, as operations of a step.
struct ForwardPass {
  Step& step;
  const CodeDraw& draw;
  bool is_training = false;  ///< for layers that do something else then
  double x_density = 1;      ///< of the layer's input
  bool to_logits = false;    ///< the layer is the last: the loss has its bias and activation
};

/// One pass back.
struct BackwardPass {
  Step& step;
  const Objective& objective;
  const CodeDraw& draw;
  const StepSums& sums;
  float* gradients = nullptr;  ///< of all trainable parameters, laid out as they are
  Matrix gradient{};           ///< ∂loss/∂y of the layer whose turn it is
  bool from_logits = false;    ///< it is the last, and the gradient that of its logits
};

class Layer;

/// A layer's place in its network.
struct LayerPlace {
  Device& device;
  float* parameters = nullptr;  ///< the model's, on the device
  const LayerSlice& slice;
  std::uint32_t index = 0;  ///< from 0, encoder first
  std::int64_t max_rows = 0;
  bool is_training = false;
  bool is_last = false;
  Layer* below = nullptr;  ///< the one before, if a gradient must reach it
};

/// A layer at work on batches of up to max_rows rows: what it adds to a step. It owns the memory of
/// its output, and of what its backward pass needs of the forward pass.
class Layer {
 public:
  virtual ~Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  /// Returns the layer's output, which is good until the next forward pass.
  virtual Matrix forward(Matrix x, const ForwardPass& pass) = 0;

  /// The gradients of what the layer learns; then pass.gradient is of the layer below, if there is
  /// one to reach.
  virtual void backward(BackwardPass& pass) = 0;

  /// After the backward passes of all layers: a tied one adds its ∂W to its partner's.
  virtual void finish_backward(const BackwardPass& /*pass*/) const {}

  /// About what fraction of its output is not zero, of an input of that density; 1 where nothing is
  /// known.
  [[nodiscard]] virtual double output_density(double /*x_density*/) const { return 1; }

  /// Where the layer above puts ∂loss/∂y.
  [[nodiscard]] virtual Matrix gradient(std::int64_t rows) const;

 protected:
  /// `owns_output`: with memory for an output and its gradient.
  Layer(const LayerPlace& place, bool owns_output);

  [[nodiscard]] Matrix output(std::int64_t rows) const {
    return {output_.data(), rows, slice_.units};
  }
  /// The layer's numbers, and their gradients.
  [[nodiscard]] Matrix values(const TensorSlice& tensor) const {
    return vector_of(parameters_ + tensor.offset, tensor.size());
  }
  [[nodiscard]] static Matrix gradients(const TensorSlice& tensor, const BackwardPass& pass) {
    return vector_of(pass.gradients + tensor.offset, tensor.size());
  }
  /// Where ∂loss of the input goes: nowhere for the first layer that learns.
  [[nodiscard]] Matrix input_gradient(std::int64_t rows) const {
    return below_ == nullptr ? Matrix{} : below_->gradient(rows);
  }
  /// Memory for an activation's inputs, where its backward pass needs them.
  [[nodiscard]] DeviceArray<float> make_saved_input(const LayerPlace& place,
                                                    Activation activation) const;
  [[nodiscard]] Matrix saved_input(const DeviceArray<float>& memory, std::int64_t rows) const {
    return memory.data() == nullptr ? Matrix{} : Matrix{memory.data(), rows, slice_.units};
  }

  /// pass.gradient becomes ∂loss/∂z of y = activation(z + b), unless the loss has done that, and ∂b
  /// is added up. `z` is memory of make_saved_input().
  void activation_backward(BackwardPass& pass, Activation activation, const TensorSlice& bias,
                           const DeviceArray<float>& z) const;
  /// For z = x·W + b, given dz: ∂W, and pass.gradient becomes that of the layer below.
  void product_backward(BackwardPass& pass, ConstMatrix x, double x_density, ConstMatrix w,
                        ConstMatrix dz, Matrix dw) const;

  Device& device_;
  float* parameters_;
  LayerSlice slice_;
  Layer* below_;

 private:
  DeviceArray<float> output_;
  DeviceArray<float> gradient_;
};

}  // namespace ae
