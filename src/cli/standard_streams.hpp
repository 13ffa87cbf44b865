#pragma once

namespace ae::cli {

/// Opens those of stdin, stdout and stderr that are closed, before any file of ours takes their
/// numbers and gets what is printed. What is written to a closed stdout still fails; what is
/// written to a closed stderr is lost.
void open_standard_streams();

}  // namespace ae::cli
