#include "model/parameters.hpp"

namespace ae {

Parameters::Parameters(Device& device, const Model& model)
    : device_(device), layout_(layout_of(model.spec)), values_(device, layout_.floats) {
  values_.upload(model.parameters);
}

void Parameters::take_statistics(const Parameters& other) {
  statistics_.resize(static_cast<std::size_t>(size() - trainable()));
  if (statistics_.empty()) return;
  const std::size_t bytes = statistics_.size() * sizeof(float);
  device_.download(statistics_.data(), other.data() + trainable(), bytes);
  device_.upload(data() + trainable(), statistics_.data(), bytes);
}

}  // namespace ae
