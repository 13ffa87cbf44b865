#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace ae::io {

/// A file that appears whole or not at all: written beside its target under a temporary name,
/// flushed to disk and renamed by commit(). Destroyed without commit(), it leaves nothing behind
/// and what was there before stays.
class AtomicFile {
 public:
  /// @throws Error if the folder is missing or not writable.
  explicit AtomicFile(std::filesystem::path target);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// @throws Error, e.g. on a full disk.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);

  void commit();

 private:
  std::filesystem::path target_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
};

}  // namespace ae::io
