#pragma once

#include "ae/train.hpp"

namespace ae {

/// Notes in `model.training` how the model was trained: everything that its numbers depend on, and
/// nothing that varies between runs which give the same numbers. What an earlier training noted is
/// gone; other keys stay.
void record_training(Model& model, const Dataset& data, const TrainOptions& options,
                     const TrainResult& result);

}  // namespace ae
