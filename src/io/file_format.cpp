#include "io/file_format.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

namespace ae::io {
namespace {

using std::string_view_literals::operator""sv;

/// A format with a signature, which is at byte `at` of its files. FILE, OUT and ALL in the Python
/// stand for the file, the .npy file made of it, and all files beside it with its ending.
struct Signature {
  std::string_view bytes;
  std::string_view name;
  std::string_view modules;  ///< what Python imports beside NumPy
  std::string_view array;    ///< the Python expression of its array
  std::string_view advice;   ///< instead, where Python is not what helps
  std::size_t at = 0;
};

constexpr std::string_view kPictures =
    "np.stack([np.asarray(PIL.Image.open(f)) for f in sorted(glob.glob(ALL))])";
constexpr std::string_view kPictureModules = "glob, PIL.Image";

constexpr Signature picture(std::string_view bytes, std::string_view name, std::size_t at = 0) {
  return {bytes, name, kPictureModules, kPictures, {}, at};
}
constexpr Signature python(std::string_view bytes, std::string_view name, std::string_view modules,
                           std::string_view array, std::size_t at = 0) {
  return {bytes, name, modules, array, {}, at};
}
constexpr Signature advice(std::string_view bytes, std::string_view name, std::string_view what,
                           std::size_t at = 0) {
  return {bytes, name, {}, {}, what, at};
}

/// The first that fits counts.
constexpr std::array kSignatures = {
    picture("\x89PNG\r\n\x1a\n"sv, "a PNG picture"),
    picture("\xff\xd8\xff"sv, "a JPEG picture"),
    picture("GIF8"sv, "a GIF picture"),
    picture("II*\0"sv, "a TIFF picture"),
    picture("MM\0*"sv, "a TIFF picture"),
    picture("WEBP"sv, "a WebP picture", 8),
    python("WAVE"sv, "a WAV sound", "scipy.io.wavfile", "scipy.io.wavfile.read(FILE)[1]", 8),
    python("fLaC"sv, "a FLAC sound", "soundfile", "soundfile.read(FILE)[0]"),
    python("OggS"sv, "an Ogg sound", "soundfile", "soundfile.read(FILE)[0]"),
    python("ID3"sv, "an MP3 sound", "soundfile", "soundfile.read(FILE)[0]"),
    python("\x89HDF\r\n\x1a\n"sv, "an HDF5 file", "h5py", "h5py.File(FILE)['NAME'][:]"),
    python("MATLAB 7.3 MAT-file"sv, "a MATLAB 7.3 file, which is HDF5,", "h5py",
           "h5py.File(FILE)['NAME'][:].T"),
    python("MATLAB 5.0 MAT-file"sv, "a MATLAB file", "scipy.io", "scipy.io.loadmat(FILE)['NAME']"),
    python("PAR1"sv, "a Parquet file", "pandas", "pandas.read_parquet(FILE).to_numpy('float32')"),
    python("ARROW1"sv, "an Arrow file", "pandas", "pandas.read_feather(FILE).to_numpy('float32')"),
    python("SIMPLE  ="sv, "a FITS file", "astropy.io.fits", "astropy.io.fits.getdata(FILE)"),
    python("CDF\x01"sv, "a NetCDF file", "scipy.io",
           "scipy.io.netcdf_file(FILE).variables['NAME'][:]"),
    python("CDF\x02"sv, "a NetCDF file", "scipy.io",
           "scipy.io.netcdf_file(FILE).variables['NAME'][:]"),
    python("X\n\0\0\0"sv, "an R object", "pyreadr",
           "pyreadr.read_r(FILE)[None].to_numpy('float32')"),
    advice("version https://git-lfs"sv, "a Git LFS pointer, not the file it stands for",
           "fetch that with git lfs pull"),
    advice("\xfd\x37zXZ\0"sv, "compressed by xz", "decompress it with xz -d"),
    advice("\x28\xb5\x2f\xfd"sv, "compressed by zstd", "decompress it with zstd -d"),
    advice("BZh"sv, "compressed by bzip2", "decompress it with bunzip2"),
    advice("7z\xbc\xaf\x27\x1c"sv, "a 7z archive", "extract it with 7z x"),
    advice("ustar"sv, "a tar archive", "extract it with tar -xf and give a file of it", 257),
    advice("%PDF"sv, "a PDF document", "give the file with the data"),
    advice("\x93NUMPY"sv, "a NumPy array", "give it as data"),
    advice("\x1f\x8b"sv, "compressed by gzip", "decompress it with gunzip"),
    advice("\0\0\x08"sv, "IDX data", "give it as data"),
};

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// `text` in single quotes, or a word in its place if it has characters that a shell or Python
/// would take for more than text.
std::string quoted(const std::string& text, std::string_view otherwise) {
  const bool is_plain = std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) >= ' ' && c != '\x7f' &&
           std::string_view("'\"\\$`!").find(c) == std::string_view::npos;
  });
  return fmt::format("'{}'", is_plain ? text : otherwise);
}

std::string replaced(std::string_view text, std::string_view word, std::string_view by) {
  const std::size_t at = text.find(word);
  if (at == std::string_view::npos) return std::string(text);
  return fmt::format("{}{}{}", text.substr(0, at), by, text.substr(at + word.size()));
}

/// A command that saves the array as a .npy file.
std::string conversion(std::string_view modules, std::string_view array,
                       const std::filesystem::path& path) {
  std::filesystem::path out = path.filename();
  const std::filesystem::path all =
      path.parent_path() / fmt::format("*{}", path.extension().string());
  std::string expression = replaced(array, "FILE", quoted(path.string(), "FILE"));
  expression = replaced(expression, "ALL", quoted(all.string(), "*"));
  return fmt::format(R"py(convert it with python3 -c "import numpy as np{}{}; np.save({}, {})")py",
                     modules.empty() ? "" : ", ", modules,
                     quoted(out.replace_extension(".npy").string(), "data.npy"), expression);
}

/// .npz too, which is a zip archive of .npy files, and what PyTorch saves.
std::optional<FileFormat> recognize_zip(std::string_view begin, const std::filesystem::path& path) {
  constexpr std::size_t kNameLengthAt = 26;
  constexpr std::size_t kNameAt = 30;
  if (!begin.starts_with("PK\x03\x04"sv) && !begin.starts_with("PK\x05\x06"sv)) return {};
  std::string_view first;  // the name of the archive's first file
  if (begin.size() > kNameAt) {
    const auto length = static_cast<unsigned char>(begin[kNameLengthAt]);
    first = begin.substr(kNameAt, length);
  }
  if (first.ends_with(".npy")) {
    return FileFormat{
        "an .npz archive of NumPy arrays",
        conversion("",
                   fmt::format("np.load(FILE)[{}]",
                               quoted(std::string(first.substr(0, first.size() - 4)), "NAME")),
                   path)};
  }
  if (first.ends_with("/data.pkl")) {
    return FileFormat{"a PyTorch file",
                      conversion("torch", "torch.load(FILE, map_location='cpu').numpy()", path)};
  }
  if (first == "[Content_Types].xml" || first.starts_with("xl/")) {
    return FileFormat{"an Excel sheet",
                      conversion("pandas", "pandas.read_excel(FILE).to_numpy('float32')", path)};
  }
  return FileFormat{"a zip archive", "extract it and give a file of it"};
}

std::optional<FileFormat> recognize_pickle(std::string_view begin,
                                           const std::filesystem::path& path) {
  constexpr char kNewest = 5;
  if (begin.size() < 2 || begin[0] != '\x80' || begin[1] < 2 || begin[1] > kNewest) return {};
  return FileFormat{
      "a Python pickle",
      conversion("pickle", "np.asarray(pickle.load(open(FILE, 'rb')), 'float32')", path)};
}

/// Eight bytes of length, little-endian, before a JSON object.
bool is_safetensors(std::string_view begin) {
  constexpr std::size_t kLengthBytes = 8;
  return begin.size() > kLengthBytes && begin[kLengthBytes - 1] == '\0' &&
         begin[kLengthBytes - 2] == '\0' && begin.substr(kLengthBytes).starts_with("{\"");
}

bool is_text(std::string_view begin) {
  return !begin.empty() && std::all_of(begin.begin(), begin.end(), [](char c) {
    return static_cast<unsigned char>(c) >= ' ' || c == '\n' || c == '\r' || c == '\t';
  });
}

std::string_view first_line(std::string_view text) {
  return text.substr(0, text.find_first_of("\r\n"));
}

/// Whether a line is one of numbers, not of words, such as columns' names.
bool is_numeric(std::string_view line) {
  return line.find_first_not_of("0123456789+-.eE \t,;\"") == std::string_view::npos &&
         line.find_first_of("0123456789") != std::string_view::npos;
}

/// An object, or an array of what JSON has: "[section]" of a TOML file is none.
bool is_json(std::string_view text) {
  if (text.starts_with('{')) return true;
  if (!text.starts_with('[')) return false;
  const std::size_t first = text.find_first_not_of(" \t\r\n", 1);
  return first == std::string_view::npos ||
         std::string_view("[]{\"-0123456789").find(text[first]) != std::string_view::npos ||
         text.substr(first).starts_with("true") || text.substr(first).starts_with("false") ||
         text.substr(first).starts_with("null");
}

std::optional<FileFormat> recognize_text(std::string_view begin,
                                         const std::filesystem::path& path) {
  if (begin.starts_with("\xef\xbb\xbf"sv)) begin.remove_prefix(3);  // UTF-8's mark
  if (!is_text(begin)) return {};
  const std::size_t at = begin.find_first_not_of(" \t\r\n");
  if (at == std::string_view::npos) return {};
  const std::string_view text = begin.substr(at);
  if (text.starts_with('<')) return FileFormat{"an HTML or XML page", "fetch the data again"};
  if (is_json(text)) {
    return FileFormat{"JSON text",
                      conversion("json", "np.asarray(json.load(open(FILE)), 'float32')", path)};
  }
  const std::string_view line = first_line(text);
  const std::size_t after = std::min(text.find_first_not_of("\r\n", line.size()), text.size());
  const std::string_view next = first_line(text.substr(after));
  const auto columns_by = [&](char delimiter) {
    const auto count = std::count(line.begin(), line.end(), delimiter);
    // Prose has commas as well, but not as many in each line.
    const bool is_regular = std::count(next.begin(), next.end(), delimiter) == count;
    return count > 0 && (is_numeric(line) || is_regular) ? count + 1 : 1;
  };
  const std::string_view skipped = is_numeric(line) ? "" : ", skiprows=1";
  for (const char delimiter : {',', ';'}) {
    if (columns_by(delimiter) == 1) continue;
    return FileFormat{
        "CSV text",
        conversion("",
                   fmt::format("np.loadtxt(FILE, delimiter='{}'{}, dtype='float32', ndmin=2)",
                               delimiter, skipped),
                   path)};
  }
  if (!is_numeric(line) && columns_by('\t') == 1) {
    return FileFormat{"text", "save its numbers with np.save"};
  }
  return FileFormat{
      "text with a row of numbers a line",
      conversion("", fmt::format("np.loadtxt(FILE{}, dtype='float32', ndmin=2)", skipped), path)};
}

}  // namespace

std::optional<FileFormat> recognize(std::span<const std::byte> begin,
                                    const std::filesystem::path& path) {
  const std::string_view text = as_text(begin);
  for (const Signature& known : kSignatures) {
    if (text.size() < known.at || !text.substr(known.at).starts_with(known.bytes)) continue;
    return FileFormat{std::string(known.name), known.advice.empty()
                                                   ? conversion(known.modules, known.array, path)
                                                   : std::string(known.advice)};
  }
  if (auto zip = recognize_zip(text, path)) return zip;
  if (auto pickle = recognize_pickle(text, path)) return pickle;
  if (is_safetensors(text)) {
    return FileFormat{
        "a safetensors file, such as a model",
        conversion("safetensors.numpy", "safetensors.numpy.load_file(FILE)['NAME']", path), true};
  }
  return recognize_text(text, path);
}

}  // namespace ae::io
