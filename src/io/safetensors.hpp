#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace ae::io {

/// A named array of floats, row-major.
struct Tensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<float> values;

  bool operator==(const Tensor&) const = default;
};

/// What a safetensors file holds: F32 tensors in file order, and text by key.
struct TensorFile {
  std::vector<Tensor> tensors;
  std::map<std::string, std::string> metadata;
  /// Set by reading: the file had a checksum, and it was right.
  bool verified = false;
};

/// Writes a safetensors file: the length of the header in 8 bytes, the header in JSON, the values.
/// The header is padded with spaces to a multiple of 8 bytes, so that values are aligned. To the
/// metadata goes "crc32", a checksum of the whole file with its own eight digits taken as zeros, so
/// that a changed bit anywhere is noticed. The same content gives the same bytes.
/// Source: github.com/huggingface/safetensors, "Format".
/// @throws Error if it cannot be written, or its header would be longer than we read.
void write_safetensors(const TensorFile& content, const std::filesystem::path& path);

/// @throws Error if the file is missing, cut or altered, claims what it does not hold, or has
/// tensors of another type than F32. Time and memory are proportional to the file's size, whatever
/// it says. A file without a checksum is taken as it is.
TensorFile read_safetensors(const std::filesystem::path& path);

}  // namespace ae::io
