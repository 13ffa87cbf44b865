#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "ae/model.hpp"
#include "ae/train.hpp"

#include "backend/backend.hpp"
#include "model/parameters.hpp"

namespace ae {

/// Where the random numbers of a Gaussian code, and in training of dropout, come from: see
/// GaussianSample and DropoutMask.
struct CodeDraw {
  bool mean_only = true;
  std::uint64_t seed = 0;
  const std::int64_t* step = nullptr;
  std::int64_t first_row = 0;
  double* kl = nullptr;  ///< each row's; may be null
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
  double* loss = nullptr;     ///< of the reconstruction
  double* penalty = nullptr;  ///< of a sparse code, see SparsityBackward
  double* kl = nullptr;       ///< of a Gaussian code, see GaussianBackward
};

/// One pass through the layers, first to last.
struct ForwardPass {
  const CodeDraw& draw;
  bool is_training = false;  ///< for layers that do something else then
  double x_density = 1;      ///< of the layer's input
  bool to_logits = false;    ///< the layer is the last and leaves bias and activation to the loss
};

/// One pass back. `gradient` is ∂loss/∂y of the layer whose turn it is, or, where
/// `is_differentiated`, already ∂loss/∂z of its pre-activation, its bias gradient done.
struct BackwardPass {
  const Objective& objective;
  const CodeDraw& draw;
  const StepSums& sums;
  float* gradients = nullptr;  ///< of all trainable parameters, laid out as they are
  Matrix gradient{};
  bool is_differentiated = false;
};

class Layer;

/// A layer's place in its network.
struct LayerPlace {
  Backend& backend;
  const Parameters& parameters;
  const LayerSlice& slice;
  std::uint32_t index = 0;  ///< from 0, encoder first
  std::int64_t max_rows = 0;
  bool is_training = false;
  bool is_last = false;
  bool is_code = false;           ///< its output is the code, which may cost something
  std::int64_t kept_largest = 0;  ///< of its output, by a top_k that follows; 0: all of it
  Layer* below = nullptr;         ///< the one before, if a gradient must reach it
};

/// A layer at work on batches of up to max_rows rows. It keeps what its backward pass needs.
class Layer {
 public:
  virtual ~Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  /// Returns the layer's output, which is good until the next forward pass.
  virtual ConstMatrix forward(ConstMatrix x, const ForwardPass& pass) = 0;

  /// The gradients of what the layer learns; then pass.gradient is of the layer below, if there is
  /// one to reach.
  virtual void backward(BackwardPass& pass) = 0;

  /// After the backward passes of all layers: a tied one adds its ∂W to its mate's.
  virtual void add_to_mate(float* /*gradients*/) const {}

  [[nodiscard]] Matrix output(std::int64_t rows) const {
    return {output_.data(), rows, slice_.units};
  }

  /// About what fraction of its output is not zero, of an input of that density; 1 where nothing is
  /// known.
  [[nodiscard]] virtual double output_density(double /*x_density*/) const { return 1; }

  /// Where the layer above puts ∂loss/∂y.
  [[nodiscard]] virtual Matrix gradient(std::int64_t rows) const;

  /// What a dense layer above needs to take its input's gradient through this layer's activation
  /// in the same operation; nothing where that must not be.
  struct Activated {
    Activation activation;
    const void* reserve;
    std::int64_t bias;  ///< offset
  };
  [[nodiscard]] virtual std::optional<Activated> activated(const Objective& /*objective*/) const {
    return std::nullopt;
  }

 protected:
  /// `owns_output`: with memory for an output and its gradient.
  Layer(const LayerPlace& place, bool owns_output);

  [[nodiscard]] const float* weight() const { return parameters_.data() + slice_.weight; }
  [[nodiscard]] const float* bias() const { return parameters_.data() + slice_.bias; }
  /// Where ∂loss of the input goes: nowhere for the first layer that learns.
  [[nodiscard]] Matrix input_gradient(std::int64_t rows) const {
    return below_ == nullptr ? Matrix{} : below_->gradient(rows);
  }
  [[nodiscard]] DeviceArray<std::byte> make_reserve(const LayerPlace& place,
                                                    Activation activation) const;
  /// For z = x·W + b, given pass.gradient = ∂loss/∂z: dw = ∂W, and ∂x through the activation below
  /// where that can be done at once.
  void product_backward(ConstMatrix x, double x_density, const float* w, float* dw,
                        BackwardPass& pass) const;

  Backend& backend_;
  const Parameters& parameters_;
  LayerSlice slice_;
  Layer* below_;

 private:
  DeviceArray<float> output_;
  DeviceArray<float> gradient_;
};

std::unique_ptr<Layer> make_layer(const DenseSpec& spec, const LayerPlace& place);
std::unique_ptr<Layer> make_layer(const ConvolutionSpec& spec, const LayerPlace& place);
std::unique_ptr<Layer> make_layer(const MaxPoolSpec& spec, const LayerPlace& place);
std::unique_ptr<Layer> make_layer(const UpsampleSpec& spec, const LayerPlace& place);
std::unique_ptr<Layer> make_layer(const FlattenSpec& spec, const LayerPlace& place);
std::unique_ptr<Layer> make_layer(const ReshapeSpec& spec, const LayerPlace& place);
std::unique_ptr<Layer> make_layer(const DropoutSpec& spec, const LayerPlace& place);
std::unique_ptr<Layer> make_layer(const LayerNormSpec& spec, const LayerPlace& place);
std::unique_ptr<Layer> make_layer(const BatchNormSpec& spec, const LayerPlace& place);
std::unique_ptr<Layer> make_layer(const GaussianSpec& spec, const LayerPlace& place);
std::unique_ptr<Layer> make_layer(const TopKSpec& spec, const LayerPlace& place);

}  // namespace ae
