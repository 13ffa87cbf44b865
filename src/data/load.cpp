#include "data/load.hpp"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ae/error.hpp"

#include "data/file_signature.hpp"
#include "data/gzip.hpp"
#include "data/idx_header.hpp"
#include "data/npy_header.hpp"
#include "io/file.hpp"
#include "io/file_format.hpp"

namespace ae {
namespace data {
namespace {

bool is_gzip(const FileSignature& signature) {
  return signature[0] == std::byte{0x1F} && signature[1] == std::byte{0x8B};
}

FileSignature read_signature(io::ByteSource& source) {
  FileSignature signature = {};
  const std::size_t size = source.read(signature);
  if (size < signature.size()) {
    throw Error(fmt::format("{} is {}: no data file is that short; fetch or write it again",
                            source.path().string(),
                            size == 0 ? "empty" : fmt::format("cut off at byte {}", size)));
  }
  return signature;
}

/// `source` is at the end of its signature.
[[noreturn]] void fail_unknown(io::ByteSource& source, const FileSignature& signature) {
  std::vector<std::byte> begin(signature.begin(), signature.end());
  begin.resize(io::kTellingBytes);
  begin.resize(signature.size() + source.read(std::span(begin).subspan(signature.size())));
  const std::filesystem::path& path = source.path();
  const std::optional<io::FileFormat> format = io::recognize(begin, path);
  if (source.size_is_known() && path.extension() == ".gz") {
    throw Error(fmt::format(
        "{} is not gzip, although its name says so: it {}; fetch it again", path.string(),
        format ? "is " + format->name
               : fmt::format("begins with bytes {:02x}", fmt::join(signature, " "))));
  }
  if (!format) {
    throw Error(fmt::format(
        "{} is neither IDX, gzipped IDX nor .npy: it begins with bytes {:02x}; give another file, "
        "or save its values with np.save",
        path.string(), fmt::join(signature, " ")));
  }
  throw Error(fmt::format("{} is {}{}; ae reads IDX and .npy files: {}", path.string(),
                          source.size_is_known() ? "" : "gzip of what is ", format->name,
                          format->cure));
}

/// Any format, once the bytes are plain.
ArrayHeader read_header(io::ByteSource& source) {
  const FileSignature signature = read_signature(source);
  if (is_npy(signature)) return read_npy_header(source, signature);
  if (is_idx(signature)) return read_idx_header(source, signature);
  fail_unknown(source, signature);
}

/// The file, or what it inflates to.
std::unique_ptr<io::ByteSource> open_plain(const std::filesystem::path& path) {
  auto file = std::make_unique<io::FileSource>(path);
  const bool compressed = is_gzip(read_signature(*file));
  file->seek(0);
  if (!compressed) return file;
  return std::make_unique<GzipSource>(std::move(file));
}

}  // namespace

ArrayFile::ArrayFile(const std::filesystem::path& path)
    : source_(open_plain(path)), header_(read_header(*source_)) {}

Dataset ArrayFile::read(RowRange range, std::string name) {
  if (range.first < 0 || range.count < -1) {
    throw UsageError(fmt::format("{} rows from row {} on were asked of {}; neither can be negative",
                                 range.count, range.first, source_->path().string()));
  }
  return read_array(*source_, header_, range, std::move(name));
}

}  // namespace data

Dataset load_dataset(const std::filesystem::path& path, std::int64_t first_row, std::int64_t rows) {
  return data::ArrayFile(path).read({first_row, rows}, path.string());
}

Shape dataset_extents(const std::filesystem::path& path) {
  return data::ArrayFile(path).header().extents;
}

}  // namespace ae
