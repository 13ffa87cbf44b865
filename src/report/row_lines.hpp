#pragma once

#include <string>
#include <string_view>

#include "report/report.hpp"

namespace ae::report {

/// Rows that are no images, drawn as lines, one small chart a row: the values over their place in
/// the row, and above them those of the reconstruction where there is one. All charts have one
/// scale. Empty without rows.
std::string row_lines(const DrawnRows& rows, std::string_view caption);

}  // namespace ae::report
