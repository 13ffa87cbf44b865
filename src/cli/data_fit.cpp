#include "cli/data_fit.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "train/data_fit.hpp"

namespace ae::cli {

namespace {

constexpr const char* kLow = "data_low";
constexpr const char* kHigh = "data_high";

/// Scales that differ by less may be chance; 100 is a percentage, 255 a byte.
constexpr float kOtherScale = 50;
/// How far outside [0, 1] a value may be in data that was scaled to it by other rows.
constexpr float kUnitMargin = 0.1F;

float magnitude(const ValueRange& range) {
  return std::max(std::abs(range.low), std::abs(range.high));
}

bool is_unit(const ValueRange& range) {
  return range.low >= -kUnitMargin && range.high <= 1 + kUnitMargin;
}

bool scales_differ(const ValueRange& a, const ValueRange& b) {
  const auto [smaller, larger] = std::minmax({magnitude(a), magnitude(b)});
  return smaller > 0 && larger / smaller >= kOtherScale;
}

/// "data.npy has values from 0 to 255", "test.idx has bytes, which count as values from 0 to 1".
std::string values_of(const Dataset& data) {
  const ValueRange range = data.range();
  return fmt::format("{} has {} from {:g} to {:g}", data.source(),
                     data.is_bytes() ? "bytes, which count as values" : "values", range.low,
                     range.high);
}

std::string difference_note(const Dataset& training, const Dataset& test) {
  const ValueRange learned = training.range();
  const ValueRange judged = test.range();
  const bool is_mixed =
      training.is_bytes() != test.is_bytes() && !is_unit(training.is_bytes() ? judged : learned);
  if (!is_mixed && !scales_differ(learned, judged)) return {};
  return fmt::format("{}, but {}; bring them to one scale", values_of(training), values_of(test));
}

/// What a model was trained on, as far as it is known.
std::optional<ValueRange> trained_range(const Model& model) {
  const auto low = model.training.find(kLow);
  const auto high = model.training.find(kHigh);
  if (low != model.training.end() && high != model.training.end()) {
    return ValueRange{std::strtof(low->second.c_str(), nullptr),
                      std::strtof(high->second.c_str(), nullptr)};
  }
  if (model.spec.output_activation() == Activation::sigmoid) return ValueRange{0, 1};
  return std::nullopt;
}

}  // namespace

std::vector<std::string> fit_to_data(TrainingOptions& options, Dataset& training, Dataset* test) {
  std::vector<std::string> notes = {options.fit_output(training)};
  for (Dataset* const data : {&training, test}) {
    if (data != nullptr) notes.push_back(fit_to_loss(options.training.loss, *data));
  }
  if (test != nullptr) notes.push_back(difference_note(training, *test));
  return notes;
}

std::string fit_to_loss(Loss loss, Dataset& data) {
  const std::int64_t clamped = loss == Loss::bce ? data.clamp_rounding() : 0;
  if (clamped == 0) return {};
  return fmt::format(
      "{}: values outside [0, 1] by no more than 1e-6, a scaler's rounding, are taken as 0 or 1, "
      "{} of "
      "them",
      data.source(), clamped);
}

ModelSpec model_for(const TrainingOptions& options, const Dataset& rows) {
  const bool is_suspect = looks_channels_first(rows.row_shape()) && options.has_image_layer();
  try {
    ModelSpec spec = options.model(rows.row_shape());
    // Where the outputs have that very shape, it is meant.
    if (!is_suspect || layer_slices(spec).back().output_shape == rows.row_shape()) return spec;
  } catch (const UsageError&) {
    if (!is_suspect) throw;
  }
  throw Error(channels_first_message(rows, "layers for images take"));
}

void record_range(const ModelSpec& spec, const Dataset& training,
                  std::map<std::string, std::string>& record) {
  if (spec.output_activation() == Activation::sigmoid) return;
  const ValueRange range = training.range();
  record[kLow] = fmt::format("{}", range.low);
  record[kHigh] = fmt::format("{}", range.high);
}

std::string scale_note(const Model& model, const Dataset& data) {
  const std::optional<ValueRange> trained = trained_range(model);
  if (!trained) return {};
  const ValueRange range = data.range();
  const bool is_mixed =
      is_unit(*trained) ? model.spec.output_activation() == Activation::sigmoid && !is_unit(range)
                        : data.is_bytes();
  if (!is_mixed && !scales_differ(*trained, range)) return {};
  return fmt::format(
      "{}, but the model was trained on values from {:g} to {:g}; bring them to that "
      "scale",
      values_of(data), trained->low, trained->high);
}

}  // namespace ae::cli
