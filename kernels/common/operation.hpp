#pragma once

/// Declares how devices do an operation. Its files define these functions, beside its contract:
///   cuda::launch, simt::launch   puts its kernels on a stream: <operation>.cu, compiled twice
///   cpu::plan                    plans its work on a CPU's threads: <operation>_cpu.cpp
#define AE_OPERATION(Operation)                             \
  namespace cuda {                                          \
  class LaunchContext;                                      \
  void launch(const Operation& op, LaunchContext& context); \
  }                                                         \
  namespace simt {                                          \
  class LaunchContext;                                      \
  void launch(const Operation& op, LaunchContext& context); \
  }                                                         \
  namespace cpu {                                           \
  class Planner;                                            \
  void plan(const Operation& op, Planner& planner);         \
  }
