#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace ae::io {

/// A file that appears whole or not at all: written beside its target under a temporary name,
/// flushed to disk and renamed by commit(). Destroyed without commit(), it leaves nothing behind
/// and what was there before stays. A process that is killed leaves its temporary file: the next
/// AtomicFile in that folder removes it. Those that are being written are known by their locks.
class AtomicFile {
 public:
  /// @throws Error if the folder is missing or not writable, or the target no file.
  explicit AtomicFile(std::filesystem::path target);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// @throws Error, e.g. on a full disk.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);

  /// Takes that much of the disk for what will be written.
  /// @throws Error if there is not so much. Where the file system cannot tell, write() will.
  void reserve(std::uint64_t bytes);

  void commit();

 private:
  std::filesystem::path target_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
  std::uint64_t written_ = 0;
  std::uint64_t reserved_ = 0;
};

/// Checks that a file can be written there, now rather than after the work that it is for.
/// @throws Error as AtomicFile does.
void require_writable(const std::filesystem::path& target);

/// Where a file of that name really is: through symbolic links.
std::filesystem::path through_links(const std::filesystem::path& target);

}  // namespace ae::io
