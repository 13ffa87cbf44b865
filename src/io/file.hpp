#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "io/byte_source.hpp"

namespace ae::io {

/// A regular file open for reading.
class FileSource : public ByteSource {
 public:
  /// @throws Error if it is missing, a folder or a device, or not readable.
  explicit FileSource(std::filesystem::path path);
  ~FileSource() override;
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const override { return path_; }
  std::size_t read(std::span<std::byte> out) override;
  void skip(std::uint64_t count) override { position_ += count; }
  [[nodiscard]] std::uint64_t position() const override { return position_; }
  [[nodiscard]] std::uint64_t size_limit() const override { return size_; }
  [[nodiscard]] bool size_is_known() const override { return true; }

  /// The next read starts at byte `position`.
  void seek(std::uint64_t position) { position_ = position; }

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
  std::uint64_t position_ = 0;
};

/// The whole file.
/// @throws Error as FileSource does.
std::vector<std::byte> read_file(const std::filesystem::path& path);

/// `size` bytes from byte `offset` on; nothing is allocated for bytes that the file does not have.
/// @throws Error as FileSource does, or if the file ends before.
std::vector<std::byte> read_file(const std::filesystem::path& path, std::uint64_t offset,
                                 std::uint64_t size);

}  // namespace ae::io
