#include "io/file_format.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace ae::io {

namespace {

using namespace std::string_view_literals;

constexpr auto kSignatures = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"\x89PNG"sv, "a PNG picture"},
    {"\xFF\xD8\xFF"sv, "a JPEG picture"},
    {"\x89HDF"sv, "an HDF5 file, as Keras writes"},
    {"PK\x03\x04"sv, "a zip archive, as PyTorch (.pt), Keras (.keras) and NumPy (.npz) write"},
    {"\x93NUMPY"sv, "a NumPy array (.npy), which holds data"},
    {"\x1F\x8B"sv, "compressed by gzip"},
    {"\x80\x02"sv, "a pickle, as Python writes"},
    {"\x80\x03"sv, "a pickle, as Python writes"},
    {"\x80\x04"sv, "a pickle, as Python writes"},
    {"\x80\x05"sv, "a pickle, as Python writes"},
    {"\0\0\x08"sv, "an IDX file, which holds data"},
    {"\0\0\x0D"sv, "an IDX file, which holds data"},
    {"%PDF"sv, "a PDF document"},
    {"\x7F\x45LF"sv, "a program"},
});

bool is_text(char c) {
  return (c >= ' ' && c <= '~') || c == '\n' || c == '\r' || c == '\t';
}

}  // namespace

std::string_view format_of(std::span<const std::byte> first_bytes) {
  const std::string_view bytes(reinterpret_cast<const char*>(first_bytes.data()),
                               first_bytes.size());
  for (const auto& [signature, format] : kSignatures) {
    if (bytes.starts_with(signature)) return format;
  }
  if (!bytes.empty() && std::all_of(bytes.begin(), bytes.end(), is_text)) {
    return "text, as CSV is";
  }
  return {};
}

}  // namespace ae::io
