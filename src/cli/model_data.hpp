#pragma once

#include <string>

#include "ae/dataset.hpp"
#include "ae/model.hpp"

#include "cli/options.hpp"

namespace ae::cli {

/// The rows that a finished model is used on: those of --data, by default what it was trained on;
/// of a named data set its test rows, unless --split train.
struct ModelDataOptions {
  DataOptions data;
  std::string split = "test";

  void add_to(Options& options);
  /// @throws UsageError without --data if the model does not record what it was trained on.
  [[nodiscard]] Dataset load(const Options& options, const Model& model) const;
};

}  // namespace ae::cli
