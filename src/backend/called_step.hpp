#pragma once

#include <functional>
#include <utility>

#include "backend/backend.hpp"

namespace ae {

/// A recorded step that calls its operations again, one by one: for backends that look at each.
class CalledStep final : public RecordedStep {
 public:
  explicit CalledStep(std::function<void()> step) : step_(std::move(step)) {}
  void replay() override { step_(); }

 private:
  std::function<void()> step_;
};

}  // namespace ae
