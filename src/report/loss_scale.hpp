#pragma once

#include <string>

#include "report/report.hpp"

namespace ae::report {

/// The test loss between its floor and its baselines, as a line drawn to scale; empty without them.
std::string loss_scale(const Report& report);

}  // namespace ae::report
