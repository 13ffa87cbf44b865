#pragma once

#include <string>
#include <string_view>

#include "ae/dataset.hpp"
#include "ae/model.hpp"

namespace ae {

/// Whether samples of that shape look like images as PyTorch has them, (channels, height, width),
/// where ours are (height, width, channels).
bool looks_channels_first(const Shape& row_shape);

/// What to say of such samples, where `takes` says who takes what: "the model takes 32x32x3".
std::string channels_first_message(const Dataset& data, std::string_view takes);

/// @throws Error for images whose channels come first where the model takes the same images with
/// the channels last: as many values, in another order.
void require_channel_order(const ModelSpec& spec, const Dataset& data);

/// Whether an output of that activation can come as near to these values as a scaler's rounding is.
bool can_make(Activation activation, const ValueRange& values);

/// @throws UsageError if the model's outputs cannot come near the values of `data`.
void require_reach(const ModelSpec& spec, const Dataset& data);

}  // namespace ae
