#include "io/safetensors.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <span>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <zlib.h>

#include "ae/error.hpp"

#include "io/atomic_file.hpp"
#include "io/file.hpp"

namespace ae::io {

namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

/// Keeps keys in the order in which they were added: the same content, the same bytes.
using OrderedJson = nlohmann::ordered_json;

constexpr std::size_t kLengthBytes = 8;
constexpr const char* kMetadata = "__metadata__";
constexpr const char* kChecksum = "crc32";
constexpr const char* kNoChecksum = "00000000";
/// A header's JSON is an object of tensors, each an object with arrays: three levels. More are
/// refused before they can exhaust the parser's stack.
constexpr int kDeepest = 8;

std::span<const std::byte> bytes_of(const std::vector<float>& values) {
  return std::as_bytes(std::span(values));
}

std::uint32_t checksum(std::uint32_t sum, std::span<const std::byte> bytes) {
  return static_cast<std::uint32_t>(
      crc32_z(sum, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

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

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& what) {
  throw Error(
      fmt::format("{} is not a readable model: {}; use another copy of it", path.string(), what));
}

/// What a header says of one tensor, and has been checked against the file.
struct Entry {
  std::string name;
  std::vector<std::int64_t> shape;
  std::uint64_t begin;
  std::uint64_t end;
};

Entry read_entry(const std::filesystem::path& path, const std::string& name,
                 const OrderedJson& json, std::uint64_t data_size) {
  const auto malformed = [&](const std::string& what) {
    fail(path, fmt::format("its tensor '{}' {}", name, what));
  };
  if (!json.is_object() || !json.contains("dtype") || !json.contains("shape") ||
      !json.contains("data_offsets")) {
    malformed("lacks dtype, shape or data_offsets");
  }
  if (json["dtype"] != "F32") malformed("is not of type F32");
  const OrderedJson& offsets = json["data_offsets"];
  if (!offsets.is_array() || offsets.size() != 2 || !offsets[0].is_number_unsigned() ||
      !offsets[1].is_number_unsigned()) {
    malformed("has no proper data_offsets");
  }
  Entry entry{name, {}, offsets[0].get<std::uint64_t>(), offsets[1].get<std::uint64_t>()};
  if (entry.begin > entry.end || entry.end > data_size) {
    malformed(fmt::format("claims bytes {} to {} of {}", entry.begin, entry.end, data_size));
  }
  if (!json["shape"].is_array()) malformed("has no proper shape");
  std::uint64_t left = (entry.end - entry.begin) / sizeof(float);
  std::uint64_t count = 1;
  for (const OrderedJson& extent : json["shape"]) {
    if (!extent.is_number_unsigned()) malformed("has no proper shape");
    const auto size = extent.get<std::uint64_t>();
    if (size != 0 && count > left / size) malformed("has a shape that its data do not fill");
    count *= size;
    entry.shape.push_back(static_cast<std::int64_t>(size));
  }
  if (count * sizeof(float) != entry.end - entry.begin) {
    malformed("has a shape that its data do not fill");
  }
  return entry;
}

OrderedJson parse_header(const std::filesystem::path& path, const std::string& text) {
  bool has_duplicate = false;
  std::vector<std::vector<std::string>> keys;
  const auto watch = [&](int depth, OrderedJson::parse_event_t event, OrderedJson& parsed) {
    if (depth > kDeepest) fail(path, "its header is nested too deeply");
    if (event == OrderedJson::parse_event_t::object_start) keys.emplace_back();
    if (event == OrderedJson::parse_event_t::object_end) keys.pop_back();
    if (event == OrderedJson::parse_event_t::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      has_duplicate |= std::find(keys.back().begin(), keys.back().end(), key) != keys.back().end();
      keys.back().push_back(key);
    }
    return true;
  };
  OrderedJson header = OrderedJson::parse(text, watch, /*allow_exceptions=*/false);
  if (!header.is_object()) fail(path, "its header is not a JSON object");
  if (has_duplicate) fail(path, "its header names something twice");
  return header;
}

std::map<std::string, std::string> read_metadata(const std::filesystem::path& path,
                                                 const OrderedJson& header) {
  std::map<std::string, std::string> metadata;
  if (!header.contains(kMetadata)) return metadata;
  const OrderedJson& json = header[kMetadata];
  if (!json.is_object()) fail(path, "its metadata is not a JSON object");
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) fail(path, fmt::format("its metadata '{}' is not text", key));
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}

/// Compares the checksum that the header carries with the file's own.
void verify_checksum(const std::filesystem::path& path, std::vector<std::byte>& bytes,
                     std::size_t header_end, const std::string& expected) {
  const std::string text = fmt::format("\"{}\":\"{}\"", kChecksum, expected);
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()), header_end);
  const std::size_t at = header.find(text);
  if (at == std::string_view::npos) fail(path, "its checksum cannot be found");
  const std::size_t digits = at + text.size() - expected.size() - 1;
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(digits), expected.size(), std::byte{'0'});
  if (fmt::format("{:08x}", checksum(0, bytes)) != expected) {
    fail(path, "its checksum does not match, so it was altered or damaged");
  }
}

}  // namespace

void write_safetensors(const TensorFile& content, const std::filesystem::path& path) {
  const auto whole_checksum = [&](const std::string& header) {
    const std::string prefix = length_prefix(header.size());
    std::uint32_t sum = checksum(0, std::as_bytes(std::span(prefix)));
    sum = checksum(sum, std::as_bytes(std::span(header)));
    for (const Tensor& tensor : content.tensors) sum = checksum(sum, bytes_of(tensor.values));
    return fmt::format("{:08x}", sum);
  };
  const std::string header =
      header_text(content, whole_checksum(header_text(content, kNoChecksum)));

  AtomicFile file(path);
  file.write(length_prefix(header.size()));
  file.write(header);
  for (const Tensor& tensor : content.tensors) file.write(bytes_of(tensor.values));
  file.commit();
}

TensorFile read_safetensors(const std::filesystem::path& path) {
  std::vector<std::byte> bytes = read_file(path);
  if (bytes.size() < kLengthBytes) {
    fail(path, fmt::format("it ends at byte {}, before its header", bytes.size()));
  }
  std::uint64_t header_size = 0;
  std::memcpy(&header_size, bytes.data(), kLengthBytes);
  if (header_size > bytes.size() - kLengthBytes) {
    fail(path, fmt::format("it ends at byte {}, but its header claims {} bytes", bytes.size(),
                           header_size));
  }
  const std::size_t header_end = kLengthBytes + static_cast<std::size_t>(header_size);
  const std::string text(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes,
                         static_cast<std::size_t>(header_size));
  const OrderedJson header = parse_header(path, text);

  TensorFile content;
  content.metadata = read_metadata(path, header);
  const std::uint64_t data_size = bytes.size() - header_end;
  std::vector<Entry> entries;
  for (const auto& [name, json] : header.items()) {
    if (name != kMetadata) entries.push_back(read_entry(path, name, json, data_size));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t covered = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != covered)
      fail(path, fmt::format("its byte {} belongs to no tensor or two", covered));
    covered = entry.end;
  }
  if (covered != data_size) {
    fail(path, fmt::format("its tensors end at byte {} of {}", covered, data_size));
  }
  if (const auto found = content.metadata.find(kChecksum); found != content.metadata.end()) {
    verify_checksum(path, bytes, header_end, found->second);
    content.metadata.erase(found);
    content.verified = true;
  }
  for (Entry& entry : entries) {
    std::vector<float> values((entry.end - entry.begin) / sizeof(float));
    if (!values.empty()) {
      std::memcpy(values.data(), bytes.data() + header_end + entry.begin, entry.end - entry.begin);
    }
    content.tensors.push_back({std::move(entry.name), std::move(entry.shape), std::move(values)});
  }
  return content;
}

}  // namespace ae::io
