#include "model/parameters.hpp"

namespace ae {

Parameters::Parameters(Backend& backend, const Model& model)
    : backend_(backend),
      slices_(layer_slices(model.spec)),
      trainable_(trainable_floats(model.spec)),
      values_(backend, parameter_floats(model.spec)) {
  values_.upload(model.parameters);
}

void Parameters::take_statistics(const Parameters& other) {
  statistics_.resize(static_cast<std::size_t>(size() - trainable()));
  if (statistics_.empty()) return;
  const std::size_t bytes = statistics_.size() * sizeof(float);
  backend_.download(statistics_.data(), other.data() + trainable(), bytes);
  backend_.upload(data() + trainable(), statistics_.data(), bytes);
}

}  // namespace ae
