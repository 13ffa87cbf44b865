#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "device/device.hpp"

namespace ae {

/// A program that calls a function with its step: for devices that run operations one by one.
class CalledProgram final : public Program {
 public:
  CalledProgram(Step step, std::function<void(const Step&)> run)
      : step_(std::move(step)), run_(std::move(run)) {}
  void replay(std::int64_t times) override {
    for (std::int64_t i = 0; i < times; ++i) run_(step_);
  }

 private:
  Step step_;
  std::function<void(const Step&)> run_;
};

}  // namespace ae
