#pragma once

namespace ae::cli {

/// From here on the first Ctrl-C (SIGINT) or SIGTERM only sets a mark, for the training to end at
/// its next step with everything written; a second one ends the program at once.
void watch_for_interrupt();

bool interrupted();

}  // namespace ae::cli
