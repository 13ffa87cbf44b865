#include "data/npy_header.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "ae/error.hpp"

// The format: "\x93NUMPY", version (major, minor), the header's length (little-endian, two bytes in
// version 1, four later), the header: a Python dictionary such as
//   {'descr': '<f4', 'fortran_order': False, 'shape': (60000, 784), }
// padded with spaces and ended by a newline; then the values.
// Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

namespace ae::data {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

/// A header of ours has 118 bytes; NumPy itself refuses more than 10,000 from strangers.
constexpr std::size_t kMaximumHeaderBytes = 65536;

/// As many as NumPy allows.
constexpr std::size_t kMaximumRank = 64;

/// The types that are read, as a descr has them after its byte order.
struct TypeCode {
  std::string_view code;
  ElementType type;
};

constexpr std::array kTypeCodes = {
    TypeCode{"b1", ElementType::boolean}, TypeCode{"?", ElementType::boolean},
    TypeCode{"u1", ElementType::u8},      TypeCode{"u2", ElementType::u16},
    TypeCode{"u4", ElementType::u32},     TypeCode{"u8", ElementType::u64},
    TypeCode{"i1", ElementType::i8},      TypeCode{"i2", ElementType::i16},
    TypeCode{"i4", ElementType::i32},     TypeCode{"i8", ElementType::i64},
    TypeCode{"f2", ElementType::f16},     TypeCode{"f4", ElementType::f32},
    TypeCode{"f8", ElementType::f64},
};

/// The kinds of types that are not, by the letter that begins their codes, and the Python that
/// makes numbers of them.
struct RefusedKind {
  char letter;
  std::string_view name;
  std::string_view cure;
};

constexpr std::array kRefusedKinds = {
    RefusedKind{'f', "floats of extended precision (long double)", "x.astype('float64')"},
    RefusedKind{'c', "complex numbers", "np.abs(x), or x.real and x.imag side by side"},
    RefusedKind{'M', "dates (datetime64)", "x.astype('int64')"},
    RefusedKind{'m', "durations (timedelta64)", "x.astype('int64')"},
    RefusedKind{'S', "text (bytes)", "x.astype('float32') if it spells numbers"},
    RefusedKind{'a', "text (bytes)", "x.astype('float32') if it spells numbers"},
    RefusedKind{'U', "text", "x.astype('float32') if it spells numbers"},
    RefusedKind{'O', "Python objects", "np.array(x.tolist(), dtype='float32')"},
    RefusedKind{'V', "raw memory, as NumPy saves bfloat16 and other types that it does not know",
                "x.astype('float32')"},
};

/// Reads the dictionary. Only what NumPy writes is understood: no Python is evaluated.
class HeaderParser {
 public:
  /// `text` begins at byte `offset` of the file `path`.
  HeaderParser(std::string_view text, std::size_t offset, std::string path)
      : text_(text), offset_(offset), path_(std::move(path)) {}

  ArrayHeader parse() {
    expect('{');
    while (!accept('}')) {
      const std::string_view key = string();
      expect(':');
      if (key == "descr" && !descr_) {
        descr_ = descr();
      } else if (key == "fortran_order" && !fortran_order_) {
        fortran_order_ = boolean();
      } else if (key == "shape" && !shape_) {
        shape_ = shape();
      } else {
        fail();
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_blanks();
    if (position_ != text_.size() || !descr_ || !fortran_order_ || !shape_) fail();
    return header();
  }

 private:
  /// What was understood, as an array that we can read.
  [[nodiscard]] ArrayHeader header() const {
    if (shape_->empty()) {
      throw Error(fmt::format("{} holds a single value; save an array with rows", path_));
    }
    std::string_view code = *descr_;
    std::endian byte_order = std::endian::native;
    if (!code.empty() && std::string_view("<>=|").find(code.front()) != std::string_view::npos) {
      if (code.front() == '<') byte_order = std::endian::little;
      if (code.front() == '>') byte_order = std::endian::big;
      code.remove_prefix(1);
    }
    const auto* const known = std::find_if(kTypeCodes.begin(), kTypeCodes.end(),
                                           [code](const TypeCode& it) { return it.code == code; });
    if (known == kTypeCodes.end()) fail_type(code);
    return {.type = known->type,
            .byte_order = byte_order,
            .axis_order = *fortran_order_ ? AxisOrder::fortran : AxisOrder::c,
            .extents = *shape_};
  }

  [[noreturn]] void fail_type(std::string_view code) const {
    const auto* const refused = std::find_if(
        kRefusedKinds.begin(), kRefusedKinds.end(),
        [code](const RefusedKind& kind) { return !code.empty() && kind.letter == code.front(); });
    const bool is_known = refused != kRefusedKinds.end();
    throw Error(fmt::format("{} holds {} (type '{}'), not booleans, integers or floats; save {}",
                            path_, is_known ? refused->name : "values of an unknown kind",
                            descr_->substr(0, 20),
                            is_known ? refused->cure : "x.astype('float32')"));
  }

  std::string_view descr() {
    skip_blanks();
    if (next() == '[') {
      throw Error(fmt::format(
          "{} holds records of several fields; save one of them, x['field'].astype('float32')",
          path_));
    }
    return string();
  }

  std::string_view string() {
    skip_blanks();
    const char quote = next();
    if (quote != '\'' && quote != '"') fail();
    const std::size_t begin = position_ + 1;
    const std::size_t end = text_.find(quote, begin);
    if (end == std::string_view::npos) fail();
    position_ = end + 1;
    const std::string_view value = text_.substr(begin, end - begin);
    // It may end up in a message.
    if (!std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c <= '~'; })) {
      fail();
    }
    return value;
  }

  bool boolean() {
    skip_blanks();
    for (const std::string_view word : {"True", "False"}) {
      if (text_.substr(position_, word.size()) == word) {
        position_ += word.size();
        return word == "True";
      }
    }
    fail();
  }

  Shape shape() {
    Shape extents;
    expect('(');
    while (!accept(')')) {
      if (extents.size() == kMaximumRank) fail();
      extents.push_back(integer());
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return extents;
  }

  std::int64_t integer() {
    constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();
    skip_blanks();
    if (next() < '0' || next() > '9') fail();
    std::int64_t value = 0;
    for (; next() >= '0' && next() <= '9'; ++position_) {
      const int digit = next() - '0';
      if (value > (kLargest - digit) / 10) fail();
      value = value * 10 + digit;
    }
    if (next() == 'L') ++position_;  // written by Python 2
    return value;
  }

  [[nodiscard]] char next() const { return position_ < text_.size() ? text_[position_] : '\0'; }

  void skip_blanks() {
    while (next() == ' ' || next() == '\t' || next() == '\n') ++position_;
  }

  bool accept(char wanted) {
    skip_blanks();
    if (next() != wanted) return false;
    ++position_;
    return true;
  }

  void expect(char wanted) {
    if (!accept(wanted)) fail();
  }

  [[noreturn]] void fail() const {
    throw Error(fmt::format("{} is damaged: its .npy header is not valid at byte {}; save it again",
                            path_, offset_ + position_));
  }

  std::string_view text_;
  std::size_t offset_;
  std::string path_;
  std::size_t position_ = 0;
  std::optional<std::string_view> descr_;
  std::optional<bool> fortran_order_;
  std::optional<Shape> shape_;
};

bool is_text(std::span<const std::byte> bytes, std::string_view text) {
  return std::equal(bytes.begin(), bytes.end(), text.begin(), text.end(),
                    [](std::byte byte, char c) { return byte == static_cast<std::byte>(c); });
}

[[noreturn]] void fail_cut_off(const io::ByteSource& source, std::size_t end) {
  throw Error(fmt::format("{} is cut off: it ends at byte {} inside its .npy header; save it again",
                          source.path().string(), end));
}

}  // namespace

bool is_npy(const FileSignature& signature) {
  return is_text(signature, kMagic.substr(0, signature.size()));
}

ArrayHeader read_npy_header(io::ByteSource& source, const FileSignature& signature) {
  std::size_t position = signature.size();
  const auto read = [&source, &position](std::span<std::byte> out) {
    const std::size_t size = source.read(out);
    if (size < out.size()) fail_cut_off(source, position + size);
    position += size;
  };

  std::array<std::byte, kMagic.size() - std::tuple_size_v<FileSignature>> rest_of_magic = {};
  std::array<std::byte, 2> version = {};
  read(rest_of_magic);
  if (!is_text(rest_of_magic, kMagic.substr(signature.size()))) {
    throw Error(fmt::format(
        "{} is damaged: it begins almost as a .npy file does, but byte {} differs; save it again",
        source.path().string(), signature.size()));
  }
  read(version);
  const int major = std::to_integer<int>(version[0]);
  if (major < 1 || major > 3) {
    throw Error(fmt::format(
        "{} is of .npy version {}.{}; versions 1.0, 2.0 and 3.0 are known; save it with another "
        "NumPy",
        source.path().string(), major, std::to_integer<int>(version[1])));
  }

  std::array<std::byte, 4> length_bytes = {};
  read(std::span(length_bytes).first(major == 1 ? 2 : 4));
  std::size_t length = 0;
  for (std::size_t i = length_bytes.size(); i-- > 0;) {
    length = length * 256 + std::to_integer<std::size_t>(length_bytes[i]);
  }
  if (length > kMaximumHeaderBytes) {
    throw Error(fmt::format("{} is damaged: its .npy header claims {} bytes; save it again",
                            source.path().string(), length));
  }

  std::string text(length, '\0');
  const std::size_t offset = position;
  read(std::as_writable_bytes(std::span(text)));
  ArrayHeader header = HeaderParser(text, offset, source.path().string()).parse();
  header.header_bytes = position;
  return header;
}

}  // namespace ae::data
