#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "ae/dataset.hpp"

#include "data/array_header.hpp"
#include "data/array_reader.hpp"
#include "io/byte_source.hpp"

namespace ae::data {

/// A data file whose header was read, and nothing else yet.
class ArrayFile {
 public:
  /// @throws Error if the file is missing, of another format, or its header is damaged.
  explicit ArrayFile(const std::filesystem::path& path);

  /// What it says about its array, not yet compared with what follows.
  [[nodiscard]] const ArrayHeader& header() const { return header_; }

  /// The values, once. `name` is the `source()` of the data set.
  /// @throws as read_array; UsageError for a negative range.
  Dataset read(RowRange range, std::string name);

 private:
  std::unique_ptr<io::ByteSource> source_;
  ArrayHeader header_;
};

}  // namespace ae::data
