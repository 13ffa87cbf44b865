#pragma once

#include <csignal>

namespace ae {

/// While it lives, this thread takes no signals; threads that it starts meanwhile never do. Those
/// that report a fault of the program itself (SIGSEGV, SIGABRT, …) still arrive.
///
/// The system puts a signal's frame below the stack pointer. oneDNN's generated sgemm (2.6 up to
/// the fix of uxlfoundation/oneDNN#4845) keeps that register in a workspace from the heap, where
/// the frame overwrites a neighbour. So no thread may take a signal there, whoever installed the
/// handler.
///
/// It costs two system calls: make one for a step or an operation, not for a tile.
class BlockedSignals {
 public:
  BlockedSignals();
  ~BlockedSignals();
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t saved_{};
};

}  // namespace ae
