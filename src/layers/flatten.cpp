#include "ae/layers/flatten.hpp"

#include "layers/alias_layer.hpp"
#include "layers/words.hpp"

namespace ae {

FlattenSpec FlattenSpec::parse(LayerWords& /*words*/) {
  return {};
}

std::string FlattenSpec::text() const {
  return "flatten";
}

Shape FlattenSpec::output_shape(const Shape& input) const {
  return {element_count(input)};
}

std::vector<LayerTensor> FlattenSpec::tensors(const Shape& /*input*/) const {
  return {};
}

std::unique_ptr<Layer> FlattenSpec::make(const LayerPlace& place) const {
  return std::make_unique<AliasLayer>(place);
}

}  // namespace ae
