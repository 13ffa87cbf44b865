#include "cli/model_data.hpp"

#include <fmt/format.h>

#include "ae/error.hpp"

namespace ae::cli {

void ModelDataOptions::add_to(Options& options) {
  options.group("Data");
  data.add_to(options);
  options.add("split", split, "NAME", "test or train rows, of a named data set");
}

Dataset ModelDataOptions::load(const Options& options, const Model& model) const {
  if (split != "test" && split != "train") {
    throw UsageError(fmt::format("--split is '{}', it must be test or train", split));
  }
  std::string source = data.data;
  if (const auto trained_on = model.training.find("data");
      !options.given("data") && trained_on != model.training.end()) {
    source = trained_on->second;
  }
  if (!is_named_dataset(source)) {
    if (options.given("split")) {
      throw UsageError(fmt::format("--split goes with a named data set, but {} is a path", source));
    }
    return limited(load_dataset(source), data.limit);
  }
  TrainTest named = load_named(source, data.directory());
  return limited(split == "train" ? std::move(named.train) : std::move(named.test), data.limit);
}

}  // namespace ae::cli
