#pragma once

#include <cstddef>
#include <vector>

/// Counts what the program asks of the CUDA runtime: the linker puts wrappers around the calls (see
/// CMakeLists.txt).
namespace ae::test {

struct CudaCalls {
  int allocations = 0;       ///< and frees, of device and pinned memory
  int copies = 0;            ///< between host and device, or within the device, and memsets
  int synchronizations = 0;  ///< in which the host waits
  int launches = 0;          ///< of graphs
  int kernels = 0;           ///< launched one by one, by our code

  friend CudaCalls operator-(CudaCalls a, const CudaCalls& b) {
    a.allocations -= b.allocations;
    a.copies -= b.copies;
    a.synchronizations -= b.synchronizations;
    a.launches -= b.launches;
    a.kernels -= b.kernels;
    return a;
  }
};

/// Since the program began.
CudaCalls cuda_calls();

/// The most graph launches that were pending since the last call of this: those after the last one
/// that the host has waited for.
int most_launches_ahead();

/// The number of nodes of each graph that was instantiated, in order.
std::vector<std::size_t> graph_sizes();

}  // namespace ae::test
