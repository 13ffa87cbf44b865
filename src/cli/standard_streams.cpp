#include "cli/standard_streams.hpp"

#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <unistd.h>

namespace ae::cli {

void open_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) >= 0 || errno != EBADF) continue;
    // A file gets the lowest number that is free, and those below are taken by now. A stdout that
    // is open for reading alone refuses what is written to it, as a closed one does.
    const int mode = stream == STDERR_FILENO ? O_WRONLY : O_RDONLY;
    if (::open("/dev/null", mode) < 0 && ::open("/", O_RDONLY) < 0) std::_Exit(EXIT_FAILURE);
  }
}

}  // namespace ae::cli
