#pragma once

#include <cstdint>
#include <vector>

#include "ae/model.hpp"

#include "device/device.hpp"
#include "model/layout.hpp"

namespace ae {

/// A model's numbers on a device, in the layout of `layer_slices`.
class Parameters {
 public:
  Parameters(Device& device, const Model& model);

  [[nodiscard]] const std::vector<LayerSlice>& slices() const { return layout_.slices; }
  [[nodiscard]] float* data() const { return values_.data(); }
  [[nodiscard]] std::int64_t size() const { return values_.size(); }
  /// How many of them, from the first on, optimisers change: gradients are of these.
  [[nodiscard]] std::int64_t trainable() const { return layout_.trainable; }
  void download(Model& model) const { values_.download(model.parameters); }

  /// The running statistics of `other`, which no optimiser changes or averages.
  void take_statistics(const Parameters& other);

 private:
  Device& device_;
  Layout layout_;
  DeviceArray<float> values_;
  std::vector<float> statistics_;  ///< on their way from other parameters
};

}  // namespace ae
