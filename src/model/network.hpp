#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ae/model.hpp"
#include "ae/train.hpp"

#include "backend/backend.hpp"

namespace ae {

/// A model's numbers on a device, in the layout of `layer_slices`.
class Parameters {
 public:
  Parameters(Backend& backend, const Model& model);

  [[nodiscard]] const std::vector<LayerSlice>& slices() const { return slices_; }
  [[nodiscard]] float* data() const { return values_.data(); }
  [[nodiscard]] std::int64_t size() const { return values_.size(); }
  void download(Model& model) const { values_.download(model.parameters); }

 private:
  std::vector<LayerSlice> slices_;
  DeviceArray<float> values_;
};

/// The layers of a model at work on up to `max_rows` rows: their outputs, kept for the backward
/// pass, live here; their parameters are shared with other networks of the same model.
class Network {
 public:
  enum class Use : std::uint8_t { inference, training };

  Network(Backend& backend, const ModelSpec& spec, const Parameters& parameters,
          std::int64_t max_rows, Use use);

  [[nodiscard]] std::size_t depth() const { return layers_.size(); }

  /// Runs layers first … last - 1, activations included. Returns the last one's output.
  ConstMatrix run(ConstMatrix x, std::size_t first, std::size_t last);

  /// All layers, the last one without bias and activation: what losses start from.
  Matrix run_to_logits(ConstMatrix x, double x_density);

  /// Σ loss over the rows goes on top of *loss_sum, all gradients into `gradients`, which is laid
  /// out as the parameters are. `logits` are of run_to_logits(x) and are overwritten. For networks
  /// made for training.
  void backward(ConstMatrix x, double x_density, Matrix logits, Loss loss, float gradient_scale,
                float* gradients, double* loss_sum);

  /// Each row's Σ loss against `target`, from run_to_logits.
  void row_losses(ConstMatrix logits, ConstMatrix target, Loss loss, double* sums);

 private:
  struct Layer {
    LayerSlice slice;
    Activation activation;
    DeviceArray<float> output;  ///< (max_rows, units)
    // Of hidden layers in training:
    DeviceArray<float> gradient;     ///< (max_rows, units), of the pre-activation
    DeviceArray<std::byte> reserve;  ///< the backend's own, from forward to backward
  };

  [[nodiscard]] ConstMatrix weight(const Layer& layer) const;
  [[nodiscard]] const float* bias(const Layer& layer) const;

  Backend& backend_;
  const Parameters& parameters_;
  std::vector<Layer> layers_;
};

}  // namespace ae
