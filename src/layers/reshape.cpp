#include "ae/layers/reshape.hpp"

#include <fmt/format.h>

#include "ae/error.hpp"

#include "layers/alias_layer.hpp"
#include "layers/shapes.hpp"
#include "layers/words.hpp"

namespace ae {

ReshapeSpec ReshapeSpec::parse(LayerWords& words) {
  return {words.take_extents("the shape, as 7x7x32,", kMostValues)};
}

std::string ReshapeSpec::text() const {
  return fmt::format("reshape {}", to_string(shape));
}

Shape ReshapeSpec::output_shape(const Shape& input) const {
  require_shape(shape, "a reshape's shape");
  if (element_count(shape) != element_count(input)) {
    throw UsageError(fmt::format("'{}' is given {}, which has {} values, not {}", text(),
                                 to_string(input), element_count(input), element_count(shape)));
  }
  return shape;
}

std::vector<LayerTensor> ReshapeSpec::tensors(const Shape& /*input*/) const {
  return {};
}

std::unique_ptr<Layer> ReshapeSpec::make(const LayerPlace& place) const {
  return std::make_unique<AliasLayer>(place);
}

}  // namespace ae
