#include "io/safetensors.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <span>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <zlib.h>

#include "ae/error.hpp"

#include "io/atomic_file.hpp"
#include "io/file.hpp"
#include "io/file_format.hpp"
#include "io/printable.hpp"
#include "io/untrusted_json.hpp"

namespace ae::io {

namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

using nlohmann::json;
/// Keeps keys in the order in which they were added: the same content, the same bytes.
using OrderedJson = nlohmann::ordered_json;

constexpr std::size_t kLengthBytes = 8;
/// Room for more tensors than any model has layers. The format's own limit is six times that; what
/// is made of a header takes several times its length.
constexpr std::uint64_t kLongestHeader = std::uint64_t{16} << 20U;
constexpr const char* kMetadata = "__metadata__";
constexpr const char* kChecksum = "crc32";
constexpr const char* kNoChecksum = "00000000";

std::string length_prefix(std::size_t header_size) {
  const std::uint64_t length = header_size;
  std::string prefix(kLengthBytes, '\0');
  std::memcpy(prefix.data(), &length, kLengthBytes);
  return prefix;
}

std::string header_text(const TensorFile& content, const std::string& file_checksum) {
  OrderedJson header;
  OrderedJson& metadata = header[kMetadata];
  for (const auto& [key, text] : content.metadata) metadata[key] = text;
  metadata[kChecksum] = file_checksum;
  std::uint64_t offset = 0;
  for (const Tensor& tensor : content.tensors) {
    const std::uint64_t end = offset + tensor.values.size() * sizeof(float);
    header[tensor.name] = {
        {"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

/// The checksum of a whole file, given its header with zeros for the checksum's digits.
std::string checksum_of(const std::string& header, const std::vector<Tensor>& tensors) {
  uLong sum = crc32_z(0, nullptr, 0);
  const auto add = [&sum](const void* bytes, std::size_t size) {
    // To zlib, no bytes at all mean a new start.
    if (size > 0) sum = crc32_z(sum, static_cast<const Bytef*>(bytes), size);
  };
  const std::string prefix = length_prefix(header.size());
  add(prefix.data(), prefix.size());
  add(header.data(), header.size());
  for (const Tensor& tensor : tensors) {
    add(tensor.values.data(), tensor.values.size() * sizeof(float));
  }
  return fmt::format("{:08x}", sum);
}

[[noreturn]] void fail(const std::filesystem::path& path, std::string_view what) {
  throw Error(fmt::format("{} is not a readable model: {}; use another copy of it", path.string(),
                          printable(what)));
}

/// What a header says of one tensor, and has been checked against the file.
struct Entry {
  std::string name;
  std::vector<std::int64_t> shape;
  std::uint64_t begin;
  std::uint64_t end;
};

Entry read_entry(const std::filesystem::path& path, const std::string& name,
                 const json& description, std::uint64_t data_size) {
  const auto malformed = [&](const std::string& what) {
    fail(path, fmt::format("its tensor '{}' {}", name, what));
  };
  if (!description.is_object() || !description.contains("dtype") ||
      !description.contains("shape") || !description.contains("data_offsets")) {
    malformed("lacks dtype, shape or data_offsets");
  }
  if (description["dtype"] != "F32") malformed("is not of type F32");
  const json& offsets = description["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
      !offsets[1].is_number_unsigned()) {
    malformed("has no proper data_offsets");
  }
  Entry entry{name, {}, offsets[0].get<std::uint64_t>(), offsets[1].get<std::uint64_t>()};
  if (entry.begin > entry.end || entry.end > data_size) {
    malformed(fmt::format("claims bytes {} to {} of {}", entry.begin, entry.end, data_size));
  }
  if (!description["shape"].is_array()) malformed("has no proper shape");
  const std::uint64_t values = (entry.end - entry.begin) / sizeof(float);
  std::uint64_t count = 1;
  for (const json& extent : description["shape"]) {
    constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
    if (!extent.is_number_unsigned() || extent.get<std::uint64_t>() > kMost) {
      malformed("has no proper shape");
    }
    const auto size = extent.get<std::uint64_t>();
    if (size != 0 && count > values / size) malformed("has a shape that its data do not fill");
    count *= size;
    entry.shape.push_back(static_cast<std::int64_t>(size));
  }
  if (count * sizeof(float) != entry.end - entry.begin) {
    malformed("has a shape that its data do not fill");
  }
  return entry;
}

json parse_header(const std::filesystem::path& path, const std::string& text) {
  json header;
  try {
    header = parse_untrusted_json(text);
  } catch (const Error& error) {
    fail(path, fmt::format("its header {}", error.what()));
  }
  if (!header.is_object()) fail(path, "its header is not a JSON object");
  return header;
}

std::map<std::string, std::string> read_metadata(const std::filesystem::path& path,
                                                 const json& header) {
  std::map<std::string, std::string> metadata;
  if (!header.contains(kMetadata)) return metadata;
  if (!header[kMetadata].is_object()) fail(path, "its metadata is not a JSON object");
  for (const auto& [key, value] : header[kMetadata].items()) {
    if (!value.is_string()) fail(path, fmt::format("its metadata '{}' is not text", key));
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

/// The tensors in the order of their data, which they fill without gap or overlap.
std::vector<Entry> read_entries(const std::filesystem::path& path, const json& header,
                                std::uint64_t data_size) {
  std::vector<Entry> entries;
  for (const auto& [name, description] : header.items()) {
    if (name != kMetadata) entries.push_back(read_entry(path, name, description, data_size));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t covered = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != covered) {
      fail(path, fmt::format("its byte {} belongs to no tensor or two", covered));
    }
    covered = entry.end;
  }
  if (covered != data_size) {
    fail(path, fmt::format("its tensors end at byte {} of {}", covered, data_size));
  }
  return entries;
}

/// Compares the checksum that the header carries with the file's own.
void verify_checksum(const std::filesystem::path& path, std::string header,
                     const std::vector<Tensor>& tensors, const std::string& expected) {
  if (expected.size() != std::string_view(kNoChecksum).size()) fail(path, "its checksum is none");
  const std::string field = fmt::format(R"("{}":"{}")", kChecksum, expected);
  const std::size_t at = header.find(field);
  if (at == std::string::npos) fail(path, "its checksum cannot be found");
  const std::size_t digits = at + field.size() - expected.size() - 1;
  header.replace(digits, expected.size(), expected.size(), '0');
  if (checksum_of(header, tensors) != expected) {
    fail(path, "its checksum does not match, so it was altered or damaged");
  }
}

/// Fills `out` with the file's next bytes.
void read_next(FileSource& file, std::span<std::byte> out) {
  if (file.read(out) < out.size()) {
    fail(file.path(), fmt::format("it ends at byte {}", file.position()));
  }
}

/// A picture or a table given by mistake is named; its first bytes are no length of a header.
void refuse_other_formats(FileSource& file) {
  std::vector<std::byte> begin(kTellingBytes);
  file.seek(0);
  begin.resize(file.read(begin));
  file.seek(kLengthBytes);
  const auto format = recognize(begin, file.path());
  if (format && !format->is_safetensors) {
    throw Error(fmt::format("{} is {}, not a model; give a model.safetensors that ae train wrote",
                            file.path().string(), format->name));
  }
}

}  // namespace

void write_safetensors(const TensorFile& content, const std::filesystem::path& path) {
  const std::string checksum = checksum_of(header_text(content, kNoChecksum), content.tensors);
  const std::string header = header_text(content, checksum);
  if (header.size() > kLongestHeader) {
    throw Error(
        fmt::format("{} would have a header of {} bytes, and {} are the most; give the model "
                    "less text to keep",
                    path.string(), header.size(), kLongestHeader));
  }

  AtomicFile file(path);
  file.write(length_prefix(header.size()));
  file.write(header);
  for (const Tensor& tensor : content.tensors) file.write(std::as_bytes(std::span(tensor.values)));
  file.commit();
}

TensorFile read_safetensors(const std::filesystem::path& path) {
  FileSource file(path);
  if (file.size_limit() < kLengthBytes) {
    fail(path, fmt::format("it ends at byte {}, before its header", file.size_limit()));
  }
  std::uint64_t header_size = 0;
  read_next(file, std::as_writable_bytes(std::span(&header_size, 1)));
  if (header_size > std::min(kLongestHeader, file.size_limit() - kLengthBytes)) {
    refuse_other_formats(file);
  }
  if (header_size > kLongestHeader) {
    fail(path, fmt::format("its header claims {} bytes, and {} are the most", header_size,
                           kLongestHeader));
  }
  if (header_size > file.size_limit() - kLengthBytes) {
    fail(path, fmt::format("it ends at byte {}, but its header claims {} bytes", file.size_limit(),
                           header_size));
  }
  std::string text(header_size, '\0');
  read_next(file, std::as_writable_bytes(std::span(text)));
  const json header = parse_header(path, text);

  TensorFile content;
  content.metadata = read_metadata(path, header);
  for (Entry& entry : read_entries(path, header, file.size_limit() - file.position())) {
    std::vector<float> values((entry.end - entry.begin) / sizeof(float));
    read_next(file, std::as_writable_bytes(std::span(values)));
    content.tensors.push_back({std::move(entry.name), std::move(entry.shape), std::move(values)});
  }
  if (const auto found = content.metadata.find(kChecksum); found != content.metadata.end()) {
    verify_checksum(path, std::move(text), content.tensors, found->second);
    content.metadata.erase(found);
    content.verified = true;
  }
  return content;
}

}  // namespace ae::io
