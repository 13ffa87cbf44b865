#include "ae/layers/top_k.hpp"

#include <fmt/format.h>

#include "ae/error.hpp"

#include "layers/alias_layer.hpp"
#include "layers/checks.hpp"
#include "layers/shapes.hpp"
#include "layers/words.hpp"

namespace ae {

namespace {

/// The largest of them, in place.
class TopKLayer final : public AliasLayer {
 public:
  TopKLayer(const TopKSpec& spec, const LayerPlace& place) : AliasLayer(place), k_(spec.k) {}

  Matrix forward(Matrix x, const ForwardPass& pass) override {
    y_ = x;
    pass.step.add(KeepLargest{.k = k_, .y = x}, slice_.name);
    return x;
  }
  void backward(BackwardPass& pass) override {
    pass.step.add(
        SparsityBackward{
            .kept_largest = true, .y = y_, .dy = pass.gradient, .penalty_sum = pass.sums.penalty},
        slice_.name);
  }

 private:
  std::int64_t k_;
  Matrix y_;
};

}  // namespace

TopKSpec TopKSpec::parse(LayerWords& words) {
  return {words.take_number("k", kMostValues)};
}

std::string TopKSpec::text() const {
  return fmt::format("top_k {}", k);
}

Shape TopKSpec::output_shape(const Shape& input) const {
  require_within(*this, "k", k, kMostValues);
  if (k > element_count(input)) {
    throw UsageError(
        fmt::format("'{}' is given only {} values, make k smaller", text(), element_count(input)));
  }
  return input;
}

std::vector<LayerTensor> TopKSpec::tensors(const Shape& /*input*/) const {
  return {};
}

std::unique_ptr<Layer> TopKSpec::make(const LayerPlace& place) const {
  return std::make_unique<TopKLayer>(*this, place);
}

}  // namespace ae
