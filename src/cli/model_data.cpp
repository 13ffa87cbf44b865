#include "cli/model_data.hpp"

#include <fmt/format.h>

#include "ae/error.hpp"

#include "io/utf8.hpp"

namespace ae::cli {

void ModelDataOptions::add_to(Options& options) {
  options.group("Data");
  data.data.clear();  // stands for what the model records
  data.add_to(options);
  options.add("split", split, "NAME", "test or train rows, of a named data set");
}

Dataset ModelDataOptions::load(const Options& options, const Model& model) const {
  if (split != "test" && split != "train") {
    throw UsageError(fmt::format("--split is '{}', it must be test or train", split));
  }
  std::string source = data.data;
  const bool is_recorded = !options.given("data");
  if (is_recorded) {
    const auto trained_on = model.training.find("data");
    if (trained_on == model.training.end()) {
      throw UsageError("the model does not say what it was trained on, give --data");
    }
    source = io::from_utf8(trained_on->second);
  }
  if (!is_named_dataset(source)) {
    if (options.given("split")) {
      throw UsageError(fmt::format("--split goes with a named data set, but {} is a path", source));
    }
    try {
      return limited(load_dataset(source), data.limit);
    } catch (const UsageError&) {
      throw;
    } catch (const Error& error) {
      if (!is_recorded) throw;
      throw Error(fmt::format(
          "{}; this path is not from the command line, it is what the model records of its "
          "training, as seen from the folder of that training: give --data",
          error.what()));
    }
  }
  TrainTest named = load_named(source, data.directory());
  return limited(split == "train" ? std::move(named.train) : std::move(named.test), data.limit);
}

}  // namespace ae::cli
