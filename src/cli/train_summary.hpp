#pragma once

#include <string>

#include "ae/infer.hpp"
#include "ae/train.hpp"

#include "report/report.hpp"

namespace ae::cli {

/// What a finished training came to, in a few lines: its loss, what that is worth, its code. Where
/// there is no figure, as after no epoch at all, its words are left out.
std::string train_summary(const report::Report& report, const CodeStatistics& codes,
                          std::int64_t latent);

}  // namespace ae::cli
