#include "device/cuda/upload.hpp"

#include <algorithm>
#include <cstring>

namespace ae::cuda {

namespace {

constexpr std::size_t kBufferBytes = std::size_t{4} << 20U;

}  // namespace

Uploader::Uploader(cudaStream_t stream) : stream_(stream) {
  for (Buffer& buffer : buffers_) buffer = {make_pinned(kBufferBytes), make_event()};
}

void Uploader::upload(void* to, const void* from, std::size_t bytes, const Progress& progress) {
  for (std::size_t done = 0; done < bytes;) {
    const std::size_t part = std::min(kBufferBytes, bytes - done);
    const Buffer& buffer = buffers_.at(next_);
    next_ = (next_ + 1) % buffers_.size();
    check(cudaEventSynchronize(buffer.read.get()), "cudaEventSynchronize");
    std::memcpy(buffer.memory.get(), static_cast<const std::byte*>(from) + done, part);
    check(cudaMemcpyAsync(static_cast<std::byte*>(to) + done, buffer.memory.get(), part,
                          cudaMemcpyHostToDevice, stream_),
          "cudaMemcpyAsync");
    check(cudaEventRecord(buffer.read.get(), stream_), "cudaEventRecord");
    done += part;
    if (progress) progress(done, bytes);
  }
}

}  // namespace ae::cuda
