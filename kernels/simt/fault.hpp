#pragma once

#include "ae/error.hpp"

namespace ae::simt {

/// A program did what a CUDA device does not allow or leaves undefined. The message names the
/// kernel, the block and the thread. The launch is over, and what it has written is not to be
/// relied on; the device itself goes on.
class Fault : public Error {
 public:
  using Error::Error;
};

}  // namespace ae::simt
