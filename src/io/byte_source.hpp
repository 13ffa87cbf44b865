#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace ae::io {

/// Bytes in order: a file's, or those that come out of a compressed one.
class ByteSource {
 public:
  ByteSource() = default;
  virtual ~ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  /// The file, for messages.
  [[nodiscard]] virtual const std::filesystem::path& path() const = 0;

  /// Fills `out` and returns its size; a smaller number means that the source ends there.
  virtual std::size_t read(std::span<std::byte> out) = 0;

  /// Passes over the next `count` bytes; those beyond the end are not missed before a read.
  virtual void skip(std::uint64_t count) = 0;

  /// How many bytes were read or passed over; the end after a read that came short.
  [[nodiscard]] virtual std::uint64_t position() const = 0;

  /// No more bytes than this come, all told. What a header claims beyond it is a lie.
  [[nodiscard]] virtual std::uint64_t size_limit() const = 0;

  /// Whether exactly size_limit() bytes come: true for plain files.
  [[nodiscard]] virtual bool size_is_known() const = 0;
};

}  // namespace ae::io
