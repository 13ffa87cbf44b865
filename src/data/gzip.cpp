#include "data/gzip.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "ae/error.hpp"

namespace ae::data {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{64} * 1024;

/// Deflate's best: 258 bytes out of two bits.
constexpr std::uint64_t kMaximumExpansion = 1032;

/// The largest window, and gzip's header and checksum rather than zlib's.
constexpr int kGzipWindowBits = 15 + 16;

}  // namespace

GzipSource::GzipSource(std::unique_ptr<io::FileSource> file)
    : file_(std::move(file)), compressed_(kBufferBytes) {
  if (inflateInit2(&stream_, kGzipWindowBits) != Z_OK) {
    throw Error(fmt::format("{} cannot be decompressed: out of memory", file_->path().string()));
  }
}

GzipSource::~GzipSource() {
  inflateEnd(&stream_);
}

std::uint64_t GzipSource::size_limit() const {
  const std::uint64_t compressed = file_->size_limit();
  return compressed > std::numeric_limits<std::uint64_t>::max() / kMaximumExpansion
             ? std::numeric_limits<std::uint64_t>::max()
             : compressed * kMaximumExpansion;
}

std::size_t GzipSource::read(std::span<std::byte> out) {
  std::size_t filled = 0;
  while (filled < out.size()) {
    if (!in_member_) {
      if (!refill()) break;
      inflateReset(&stream_);
      in_member_ = true;
    }
    filled += inflate_some(out.subspan(filled));
  }
  position_ += filled;
  return filled;
}

void GzipSource::skip(std::uint64_t count) {
  std::vector<std::byte> unwanted(std::min<std::uint64_t>(count, kBufferBytes));
  while (count > 0) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(count, unwanted.size()));
    if (read(std::span(unwanted).first(size)) < size) return;
    count -= size;
  }
}

bool GzipSource::refill() {
  if (stream_.avail_in > 0) return true;
  const std::size_t size = file_->read(compressed_);
  compressed_read_ += size;
  stream_.next_in = reinterpret_cast<Bytef*>(compressed_.data());
  stream_.avail_in = static_cast<uInt>(size);
  return size > 0;
}

std::size_t GzipSource::inflate_some(std::span<std::byte> out) {
  const std::size_t wanted = std::min<std::size_t>(out.size(), std::numeric_limits<uInt>::max());
  stream_.next_out = reinterpret_cast<Bytef*>(out.data());
  stream_.avail_out = static_cast<uInt>(wanted);
  while (stream_.avail_out > 0) {
    if (!refill()) {
      throw Error(fmt::format(
          "{} is cut off: it ends at byte {} inside the compressed data; fetch it again",
          path().string(), compressed_read_));
    }
    const int status = inflate(&stream_, Z_NO_FLUSH);
    if (status == Z_STREAM_END) {
      in_member_ = false;
      break;
    }
    if (status == Z_MEM_ERROR) {
      throw Error(fmt::format("{} cannot be decompressed: out of memory", path().string()));
    }
    if (status != Z_OK) {
      throw Error(
          fmt::format("{} is damaged: its gzip data is not valid near byte {} ({}); fetch it again",
                      path().string(), compressed_read_ - stream_.avail_in,
                      stream_.msg != nullptr ? stream_.msg : "unknown reason"));
    }
  }
  return wanted - stream_.avail_out;
}

}  // namespace ae::data
