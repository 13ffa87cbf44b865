#include "data/load.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ae/error.hpp"

#include "data/file_signature.hpp"
#include "data/gzip.hpp"
#include "data/idx_header.hpp"
#include "data/npy_header.hpp"
#include "io/file.hpp"

namespace ae {
namespace data {
namespace {

bool is_gzip(const FileSignature& signature) {
  return signature[0] == std::byte{0x1F} && signature[1] == std::byte{0x8B};
}

/// .npz too: several NumPy arrays in one archive.
bool is_zip(const FileSignature& signature) {
  return signature[0] == std::byte{'P'} && signature[1] == std::byte{'K'};
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

[[noreturn]] void fail_unknown(const io::ByteSource& source, const FileSignature& signature) {
  const std::string path = source.path().string();
  if (is_zip(signature)) {
    throw Error(
        fmt::format("{} is a zip or .npz archive; save one array of it with np.save", path));
  }
  if (source.size_is_known() && source.path().extension() == ".gz") {
    throw Error(fmt::format(
        "{} is not gzip, although its name says so: it begins with bytes {:02x}; fetch it again",
        path, fmt::join(signature, " ")));
  }
  throw Error(fmt::format(
      "{} is neither IDX, gzipped IDX nor .npy: it begins with bytes {:02x}; give another file, or "
      "save its values with np.save",
      path, fmt::join(signature, " ")));
}

/// Any format, once the bytes are plain.
Dataset read_plain(io::ByteSource& source, RowRange range, std::string name) {
  const FileSignature signature = read_signature(source);
  if (is_npy(signature)) {
    return read_array(source, read_npy_header(source, signature), range, std::move(name));
  }
  if (is_idx(signature)) {
    return read_array(source, read_idx_header(source, signature), range, std::move(name));
  }
  fail_unknown(source, signature);
}

}  // namespace

Dataset load_rows(const std::filesystem::path& path, RowRange range, std::string name) {
  if (range.first < 0 || range.count < -1) {
    throw UsageError(fmt::format("{} rows from row {} on were asked of {}; neither can be negative",
                                 range.count, range.first, path.string()));
  }
  auto file = std::make_unique<io::FileSource>(path);
  const bool compressed = is_gzip(read_signature(*file));
  file->seek(0);
  if (!compressed) return read_plain(*file, range, std::move(name));
  GzipSource inflated(std::move(file));
  return read_plain(inflated, range, std::move(name));
}

}  // namespace data

Dataset load_dataset(const std::filesystem::path& path, std::int64_t first_row, std::int64_t rows) {
  return data::load_rows(path, {first_row, rows}, path.string());
}

}  // namespace ae
