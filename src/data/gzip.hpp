#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include <zlib.h>

#include "io/byte_source.hpp"
#include "io/file.hpp"

namespace ae::data {

/// What a gzip file inflates to, a piece at a time. Several members one after the other are one
/// stream, as gzip itself has it; the checksum of each is verified where it ends.
class GzipSource : public io::ByteSource {
 public:
  /// @throws Error if there is no memory for the decompressor.
  explicit GzipSource(std::unique_ptr<io::FileSource> file);
  ~GzipSource() override;
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const override { return file_->path(); }
  /// @throws Error if the compressed data is cut off or damaged.
  std::size_t read(std::span<std::byte> out) override;
  void skip(std::uint64_t count) override;
  [[nodiscard]] std::uint64_t position() const override { return position_; }
  [[nodiscard]] std::uint64_t size_limit() const override;
  [[nodiscard]] bool size_is_known() const override { return false; }

 private:
  /// Reads more of the file if all of it was inflated; false at the end of the file.
  bool refill();
  /// Inflates into `out` until it is full or the member ends; returns how many bytes came.
  std::size_t inflate_some(std::span<std::byte> out);

  std::unique_ptr<io::FileSource> file_;
  std::vector<std::byte> compressed_;
  z_stream stream_ = {};
  std::uint64_t compressed_read_ = 0;
  std::uint64_t position_ = 0;
  bool in_member_ = false;
};

}  // namespace ae::data
