#pragma once

#include <stdexcept>
#include <string>

namespace ae {

/// The work failed: bad data, a damaged file, out of memory, a diverged training, I/O.
/// The message is one line that says what is wrong, where (file, byte, element) and what to do.
/// The `ae` program prints it and exits with 1.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The request itself is wrong: an option out of range, an unknown name, options that contradict
/// each other. The `ae` program exits with 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

/// Rows that the model cannot take: of another size, or none at all. A caller's mistake, so a
/// UsageError; the `ae` program, which has them from a file, exits with 1 as for other bad data.
class DataMismatch : public UsageError {
 public:
  using UsageError::UsageError;
};

}  // namespace ae
