#pragma once

#include <initializer_list>
#include <string>

#include <gtest/gtest.h>

#include "ae/dataset.hpp"
#include "ae/model.hpp"
#include "ae/train.hpp"

#include "test_data.hpp"

/// Trainings of some epochs on some hundred digits.
namespace ae::test {

inline TrainOptions options_on(const std::string& device, int threads = 1) {
  TrainOptions options;
  options.epochs = 2;
  options.batch_size = 32;
  options.device = {device, threads};
  return options;
}

/// A training with --device check judges each of these outputs, and what goes on is the CPU's.
inline void expect_checked(const ModelSpec& spec, std::initializer_list<const char*> outputs) {
  const Dataset data = digits().first(40);
  TrainOptions options = options_on("check:simt", 0);
  options.epochs = 1;
  options.batch_size = 16;
  std::string table;
  options.device.on_check = [&table](const std::string& text) { table += text; };
  Model checked = Model::initialize(spec, 1);
  train(checked, data, nullptr, options);
  for (const char* output : outputs) {
    EXPECT_NE(table.find(output), std::string::npos) << output << " is not in\n" << table;
  }
  options.device = {"cpu", 1};
  Model model = Model::initialize(spec, 1);
  train(model, data, nullptr, options);
  EXPECT_EQ(checked.parameters, model.parameters);
}

}  // namespace ae::test
