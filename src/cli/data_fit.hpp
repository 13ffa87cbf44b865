#pragma once

#include <map>
#include <string>
#include <vector>

#include "ae/dataset.hpp"
#include "ae/model.hpp"

#include "cli/training_options.hpp"

namespace ae::cli {

/// Brings options and rows together before a model is made: the output activation that suits the
/// values, values that rounding left outside [0, 1]. Returns notes for the user, also on scales
/// that differ. `test` may be null.
/// @throws as TrainingOptions::fit_output.
std::vector<std::string> fit_to_data(TrainingOptions& options, Dataset& training,
                                     Dataset* test = nullptr);

/// For BCE, clamps what rounding left outside [0, 1]. Returns a note that says so, or nothing.
std::string fit_to_loss(Loss loss, Dataset& data);

/// The model for these rows.
/// @throws as TrainingOptions::model; Error for images whose channels seem to come first.
ModelSpec model_for(const TrainingOptions& options, const Dataset& rows);

/// Keeps the range of the training data in `record`, unless the output activation, a sigmoid, says
/// that it is [0, 1].
void record_range(const ModelSpec& spec, const Dataset& training,
                  std::map<std::string, std::string>& record);

/// A note if the values are on another scale than those that the model was trained on, or nothing.
std::string scale_note(const Model& model, const Dataset& data);

}  // namespace ae::cli
