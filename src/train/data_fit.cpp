#include "train/data_fit.hpp"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "ae/error.hpp"

namespace ae {

bool looks_channels_first(const Shape& row_shape) {
  constexpr std::int64_t kMostChannels = 4;
  return row_shape.size() == 3 && row_shape[0] <= kMostChannels &&
         row_shape[0] < std::min(row_shape[1], row_shape[2]);
}

std::string channels_first_message(const Dataset& data, std::string_view takes) {
  return fmt::format(
      "{} has samples of {}, which look channels-first, but {} (height, width, channels); save "
      "x.transpose(0, 2, 3, 1)",
      data.source(), to_string(data.row_shape()), takes);
}

void require_channel_order(const ModelSpec& spec, const Dataset& data) {
  const Shape& takes = spec.input_shape;
  const Shape& has = data.row_shape();
  if (takes.size() != 3 || has.size() != 3 || takes == has) return;
  const bool is_turned = has == Shape{takes[2], takes[0], takes[1]};
  // A single channel is the same values in the same order.
  if (is_turned && takes[2] > 1) {
    throw Error(channels_first_message(data, fmt::format("the model takes {}", to_string(takes))));
  }
}

bool can_make(Activation activation, const ValueRange& values) {
  constexpr float kRounding = 1e-6F;
  const ValueRange outputs = output_range(activation);
  return values.low >= outputs.low - kRounding && values.high <= outputs.high + kRounding;
}

void require_reach(const ModelSpec& spec, const Dataset& data) {
  const Activation activation = spec.output_activation();
  const ValueRange values = data.range();
  if (can_make(activation, values)) return;
  const ValueRange outputs = output_range(activation);
  throw UsageError(fmt::format(
      "the output activation {} makes values from {} to {}, but {} has values from {} to {}; take "
      "the output activation identity, or scale the values",
      to_string(activation), outputs.low, outputs.high, data.source(), values.low, values.high));
}

}  // namespace ae
