#pragma once

#include <array>
#include <cstddef>
#include <functional>

#include "device/cuda/handles.hpp"

namespace ae::cuda {

/// Copies host memory to the device through two pinned buffers: while the device reads one, the
/// host fills the other. The caller may reuse its memory at once, and waits only when both are
/// busy.
class Uploader {
 public:
  using Progress = std::function<void(std::size_t done, std::size_t bytes)>;

  explicit Uploader(cudaStream_t stream);

  /// Ordered on the stream like a kernel. `progress` may be empty.
  void upload(void* to, const void* from, std::size_t bytes, const Progress& progress = {});

 private:
  struct Buffer {
    PinnedMemory memory;
    OwnedEvent read;  ///< the device has read what the buffer held
  };

  cudaStream_t stream_;
  std::array<Buffer, 2> buffers_;
  std::size_t next_ = 0;
};

}  // namespace ae::cuda
