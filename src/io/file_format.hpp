#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

namespace ae::io {

/// A format that we know by sight, whether we read it or not.
struct FileFormat {
  std::string name;  ///< with its article: "a PNG picture"
  std::string cure;  ///< what makes a .npy file of it: "convert it with …", "decompress it with …"
  bool is_safetensors = false;  ///< as models are
};

/// As many bytes of a file as recognize() can make use of.
inline constexpr std::size_t kTellingBytes = 1024;

/// The format of the file `path`, which begins with `begin`. Nothing if it is none that is known.
std::optional<FileFormat> recognize(std::span<const std::byte> begin,
                                    const std::filesystem::path& path);

}  // namespace ae::io
