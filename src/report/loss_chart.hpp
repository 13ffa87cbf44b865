#pragma once

#include <string>

#include "report/report.hpp"

namespace ae::report {

/// The section with the losses over the epochs, as inline SVG; empty without epochs.
std::string loss_chart(const Report& report);

}  // namespace ae::report
