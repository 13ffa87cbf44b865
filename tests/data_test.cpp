#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <zlib.h>

#include "ae/dataset.hpp"
#include "ae/error.hpp"

#include "error_message.hpp"
#include "io/npy.hpp"
#include "temporary_folder.hpp"

namespace ae {
namespace {

namespace fs = std::filesystem;
using std::string_literals::operator""s;
using test::error_of;
using test::says;
using test::TemporaryFolder;

// ── Files made by hand ─────────────────────────────────────────────────────────────────────────

std::string big_endian(std::uint64_t value, int bytes) {
  std::string text;
  for (int byte = bytes - 1; byte >= 0; --byte) {
    text += static_cast<char>(value >> (8 * static_cast<unsigned>(byte)));
  }
  return text;
}

std::string little_endian(std::uint64_t value, int bytes) {
  const std::string text = big_endian(value, bytes);
  return {text.rbegin(), text.rend()};
}

/// Type codes of the format.
constexpr char kU8 = 0x08;
constexpr char kI8 = 0x09;
constexpr char kI16 = 0x0B;
constexpr char kI32 = 0x0C;
constexpr char kF32 = 0x0D;
constexpr char kF64 = 0x0E;

std::string idx(char type, const std::vector<std::uint32_t>& extents, const std::string& values) {
  std::string text = {'\0', '\0', type, static_cast<char>(extents.size())};
  for (const std::uint32_t extent : extents) text += big_endian(extent, 4);
  return text + values;
}

/// Two rows of 2x3 bytes: 0 to 5 and 250 to 255.
std::string small_images() {
  return idx(kU8, {2, 2, 3}, "\x00\x01\x02\x03\x04\x05\xfa\xfb\xfc\xfd\xfe\xff"s);
}

std::string gzip(const std::string& text) {
  z_stream stream = {};
  deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string compressed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));  // NOLINT: zlib's
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(compressed.data());
  stream.avail_out = static_cast<uInt>(compressed.size());
  deflate(&stream, Z_FINISH);
  compressed.resize(stream.total_out);
  deflateEnd(&stream);
  return compressed;
}

std::string npy(const std::string& header, const std::string& values, char major = 1) {
  return "\x93NUMPY"s + major + '\0' + little_endian(header.size(), major == 1 ? 2 : 4) + header +
         values;
}

std::string npy_header(const std::string& descr, const std::string& shape,
                       const std::string& fortran_order = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + fortran_order + ", 'shape': " + shape +
         ", }\n";
}

std::string f32(float value, bool big = false) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return big ? big_endian(bits, 4) : little_endian(bits, 4);
}

std::string f64(double value, bool big = false) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  return big ? big_endian(bits, 8) : little_endian(bits, 8);
}

/// A folder with one file that is loaded again and again.
class Reading : public ::testing::Test {
 protected:
  Dataset load(const std::string& content, std::int64_t first_row = 0, std::int64_t rows = -1) {
    return load_dataset(folder_.write("file", content), first_row, rows);
  }
  std::string error_from(const std::string& content, std::int64_t first_row = 0,
                         std::int64_t rows = -1) {
    return error_of([&] { load(content, first_row, rows); });
  }
  TemporaryFolder folder_;
};

std::vector<int> bytes_of(const Dataset& dataset) {
  return {dataset.bytes().begin(), dataset.bytes().end()};
}

std::vector<float> floats_of(const Dataset& dataset) {
  return {dataset.floats().begin(), dataset.floats().end()};
}

// ── The data set ───────────────────────────────────────────────────────────────────────────────

TEST(ShapeOf, CountsAndPrints) {
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count({28, 28}), 784);
  EXPECT_EQ(element_count({5, 0, 7}), 0);
  EXPECT_EQ(to_string(Shape{28, 28}), "28x28");
  EXPECT_EQ(to_string(Shape{784}), "784");
}

TEST(ShapeOf, RefusesWhatCannotBeCounted) {
  constexpr std::int64_t kHalf = std::int64_t{1} << 32;
  EXPECT_TRUE(says(error_of([] { element_count({kHalf, kHalf}); }), "more elements than"));
  EXPECT_TRUE(says(error_of([] { element_count({-2, -3}); }), "negative extent"));
  EXPECT_EQ(element_count({kHalf, kHalf, 0}), 0);
}

TEST(DatasetTest, RefusesValuesThatMakeNoWholeRows) {
  EXPECT_TRUE(says(error_of([] {
                     Dataset("x", {2, 2}, std::vector<float>(9));
                   }),
                   "x has 9 values, which make no whole number of rows of 2x2"));
  EXPECT_TRUE(says(error_of([] { Dataset("x", {0}, std::vector<std::uint8_t>()); }),
                   "without a single element"));
}

TEST(DatasetTest, RowsAsTheNetworkSeesThem) {
  const Dataset bytes("b", {2}, std::vector<std::uint8_t>{0, 255, 51, 1});
  const Dataset floats("f", {2}, std::vector<float>{-1, 2, 3, 4});
  std::vector<float> row(2);
  bytes.copy_row(0, row);
  EXPECT_EQ(row, (std::vector<float>{0, 1}));
  bytes.copy_row(1, row);
  EXPECT_EQ(row, (std::vector<float>{51 / 255.0F, 1 / 255.0F}));
  floats.copy_row(1, row);
  EXPECT_EQ(row, (std::vector<float>{3, 4}));
}

TEST(DatasetTest, RefusesRowsItDoesNotHave) {
  const Dataset dataset("x", {2}, std::vector<float>(4));
  std::vector<float> row(2);
  EXPECT_THROW(dataset.copy_row(-1, row), UsageError);
  EXPECT_THROW(dataset.copy_row(2, row), UsageError);
  EXPECT_THROW(dataset.copy_row(0, std::span(row).first(1)), UsageError);
}

TEST(DatasetTest, FirstRows) {
  const Dataset bytes("b", {2}, std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6});
  const Dataset floats("f", {1, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
  EXPECT_EQ(bytes_of(bytes.first(2)), (std::vector<int>{1, 2, 3, 4}));
  EXPECT_EQ(floats_of(floats.first(1)), (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(floats.first(1).row_shape(), (Shape{1, 3}));
  EXPECT_EQ(floats.first(1).source(), "f");
  EXPECT_EQ(bytes.first(0).rows(), 0);
  EXPECT_EQ(bytes.first(-5).rows(), 0);
  EXPECT_EQ(bytes.first(100).rows(), 3);
  EXPECT_EQ(Dataset().first(3).rows(), 0);
}

TEST(DatasetTest, DensityOfAllRows) {
  EXPECT_EQ(Dataset().density(), 0);
  EXPECT_EQ(Dataset("x", {4}, std::vector<std::uint8_t>{0, 0, 7, 0, 1, 1, 0, 0}).density(), 0.375);
  EXPECT_EQ(Dataset("x", {2}, std::vector<float>{0, -0.0F, 0.5F, -1}).density(), 0.5);
}

TEST(DatasetTest, DensityLooksAtTheWholeOfALargeSet) {
  // Only the last quarter has values: rows at the front alone would say 0.
  std::vector<std::uint8_t> values(20000);
  std::fill(values.begin() + 15000, values.end(), std::uint8_t{1});
  EXPECT_NEAR(Dataset("x", {1}, values).density(), 0.25, 0.001);
}

TEST(DatasetTest, RequireFiniteNamesTheFirstBadElement) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<float> values(12, 0.5F);
  const auto message = [&values](std::size_t position, float value, bool unit_interval) {
    std::vector<float> bad = values;
    bad[position] = value;
    const Dataset dataset("x.npy", {2, 2}, bad);
    return error_of([&] { dataset.require_finite(unit_interval); });
  };
  EXPECT_TRUE(says(message(0, NAN, false), "x.npy: row 0, element 0 (counted from 0) is NaN"));
  EXPECT_TRUE(
      says(message(11, -kInfinity, false), "row 2, element 3 (counted from 0) is infinite"));
  EXPECT_TRUE(says(message(6, kInfinity, true), "row 1, element 2 (counted from 0) is infinite"));
  EXPECT_TRUE(says(message(5, 1.25F, true), "row 1, element 1 (counted from 0) is 1.25, outside"));
  EXPECT_TRUE(says(message(5, -0.5F, true), "is -0.5, outside [0, 1]; scale the values"));
}

TEST(DatasetTest, RequireFiniteAcceptsWhatIsAllowed) {
  const Dataset edges("x", {1}, std::vector<float>{0, 1, -0.0F, 0.5F});
  EXPECT_NO_THROW(edges.require_finite(true));
  const float largest = std::numeric_limits<float>::max();
  const Dataset large("x", {1}, std::vector<float>{-largest, largest, -3, 255});
  EXPECT_NO_THROW(large.require_finite(false));
  EXPECT_NO_THROW(Dataset("x", {1}, std::vector<std::uint8_t>{0, 255}).require_finite(true));
}

// ── IDX ────────────────────────────────────────────────────────────────────────────────────────

using ReadIdx = Reading;

TEST_F(ReadIdx, BytesStayBytes) {
  const Dataset dataset = load(small_images());
  EXPECT_TRUE(dataset.is_bytes());
  EXPECT_EQ(dataset.rows(), 2);
  EXPECT_EQ(dataset.row_size(), 6);
  EXPECT_EQ(dataset.row_shape(), (Shape{2, 3}));
  EXPECT_EQ(dataset.source(), (folder_ / "file").string());
  EXPECT_EQ(bytes_of(dataset), (std::vector<int>{0, 1, 2, 3, 4, 5, 250, 251, 252, 253, 254, 255}));
}

TEST_F(ReadIdx, EveryOtherTypeBecomesFloat) {
  EXPECT_EQ(floats_of(load(idx(kI8, {2}, "\x80\x7f"s))), (std::vector<float>{-128, 127}));
  EXPECT_EQ(floats_of(load(idx(kI16, {2}, "\x80\x00\x01\x02"s))),
            (std::vector<float>{-32768, 258}));
  EXPECT_EQ(floats_of(load(idx(kI32, {2}, "\xff\xff\xff\xfe\x00\x01\x00\x00"s))),
            (std::vector<float>{-2, 65536}));
  EXPECT_EQ(floats_of(load(idx(kF32, {2}, f32(0.25F, true) + f32(-1e30F, true)))),
            (std::vector<float>{0.25F, -1e30F}));
  EXPECT_EQ(floats_of(load(idx(kF64, {2}, f64(0.1, true) + f64(-3, true)))),
            (std::vector<float>{0.1F, -3}));
}

TEST_F(ReadIdx, EveryRank) {
  const std::string values(24, '\x07');
  EXPECT_EQ(load(idx(kU8, {24}, values)).row_shape(), (Shape{1}));
  EXPECT_EQ(load(idx(kU8, {2, 12}, values)).row_shape(), (Shape{12}));
  EXPECT_EQ(load(idx(kU8, {2, 4, 3}, values)).row_shape(), (Shape{4, 3}));
  EXPECT_EQ(load(idx(kU8, {2, 2, 2, 3}, values)).row_shape(), (Shape{2, 2, 3}));
  const std::vector<std::uint32_t> ones(255, 1);
  EXPECT_EQ(load(idx(kU8, ones, "x")).row_shape().size(), 254U);
}

TEST_F(ReadIdx, NoRowsAreNoError) {
  const Dataset dataset = load(idx(kU8, {0, 28, 28}, ""));
  EXPECT_EQ(dataset.rows(), 0);
  EXPECT_EQ(dataset.row_shape(), (Shape{28, 28}));
}

TEST_F(ReadIdx, RangesOfRows) {
  for (const std::string& content :
       {idx(kU8, {5, 2}, "0011223344"), gzip(idx(kU8, {5, 2}, "0011223344"))}) {
    const auto text = [&](std::int64_t first_row, std::int64_t rows) {
      const Dataset dataset = load(content, first_row, rows);
      return std::string(dataset.bytes().begin(), dataset.bytes().end());
    };
    EXPECT_EQ(text(0, 2), "0011");
    EXPECT_EQ(text(1, 3), "112233");
    EXPECT_EQ(text(3, -1), "3344");
    EXPECT_EQ(text(3, 100), "3344");
    EXPECT_EQ(text(2, 0), "");
    EXPECT_EQ(text(5, -1), "");
    EXPECT_THROW(load(content, 6, 1), UsageError);
    EXPECT_THROW(load(content, -1, 1), UsageError);
    EXPECT_THROW(load(content, 0, -2), UsageError);
  }
  EXPECT_EQ(floats_of(load(idx(kI16, {3, 1}, "\0\1\0\2\0\3"s), 1, 1)), (std::vector<float>{2}));
}

TEST_F(ReadIdx, RowsLongerThanAnyBuffer) {
  std::string values(1000003 * 2, '\0');
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<char>(i * 7 + i / 251);
  const std::vector<std::uint8_t> expected(values.begin(), values.end());
  for (const std::string& content :
       {idx(kU8, {2, 1000003}, values), gzip(idx(kU8, {2, 1000003}, values))}) {
    const Dataset dataset = load(content);
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), dataset.bytes().begin(),
                           dataset.bytes().end()));
    EXPECT_EQ(load(content, 1).bytes()[1000002], expected.back());
  }
  const Dataset wide = load(idx(kI16, {1000003}, values));
  EXPECT_EQ(
      wide.floats().back(),
      static_cast<float>(static_cast<std::int16_t>(expected[2000004] * 256 + expected[2000005])));
}

TEST_F(ReadIdx, CutOffAtEveryByte) {
  const std::string whole = small_images();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::string message = error_from(whole.substr(0, size));
    EXPECT_TRUE(says(message, size == 0 ? "is empty" : "cut off"));
    EXPECT_TRUE(size == 0 || says(message, "byte " + std::to_string(size)));
  }
}

TEST_F(ReadIdx, RefusesTrailingBytes) {
  const std::string message = error_from(small_images() + "x");
  EXPECT_TRUE(says(message, "claims 2x2x3 values, 28 bytes in all, but more follow"));
  // Also when only some rows are asked for.
  EXPECT_TRUE(says(error_from(small_images() + "x", 0, 1), "more follow"));
}

TEST_F(ReadIdx, RefusesClaimsBeyondTheFile) {
  const std::string message = error_from(idx(kU8, {4000000000, 28, 28}, "few"));
  EXPECT_TRUE(says(message,
                   "claims 4000000000x28x28 values, 3136000000016 bytes in all, but the "
                   "file ends at byte 19"));
  EXPECT_TRUE(
      says(error_from(idx(kF64, {UINT32_MAX, UINT32_MAX, UINT32_MAX}, "few")), "more than 2^63"));
  // 2^31 · 2^32 doubles are 2^66 bytes, which is 0 in 64 bits.
  EXPECT_TRUE(says(error_from(idx(kF64, {1U << 31U, 1U << 31U, 2}, "")), "more than 2^63"));
  EXPECT_TRUE(says(error_from(idx(kU8, {0, UINT32_MAX, UINT32_MAX, UINT32_MAX}, "")),
                   "more elements than any file can hold"));
  EXPECT_TRUE(says(error_from(idx(kU8, {3, 0}, "")), "without a single element"));
  EXPECT_TRUE(says(error_from(idx(kU8, {}, "x")), "holds a single value"));
}

TEST_F(ReadIdx, RefusesOtherFiles) {
  EXPECT_TRUE(says(error_from("\x01\x02\x03\x04"), "begins with bytes 01 02 03 04"));
  EXPECT_TRUE(says(error_from("\0\0\x0a\x01 unknown type"s), "is neither IDX"));
  EXPECT_TRUE(says(error_from("\0\1\x08\x01 no zero"s), "is neither IDX"));
  EXPECT_TRUE(
      says(error_from("PK\x03\x04 several files"), "is a zip archive; ae reads IDX and .npy"));
}

TEST_F(ReadIdx, MissingFilesAndFolders) {
  EXPECT_TRUE(says(error_of([&] { load_dataset(folder_ / "absent"); }), "no such file: '"));
  EXPECT_TRUE(says(error_of([&] { load_dataset(folder_.path()); }), "is a folder"));
}

// ── gzip ───────────────────────────────────────────────────────────────────────────────────────

using ReadGzip = Reading;

TEST_F(ReadGzip, WhateverTheNameIs) {
  EXPECT_EQ(bytes_of(load(gzip(small_images()))), bytes_of(load(small_images())));
  EXPECT_EQ(load_dataset(folder_.write("raw.gz", small_images())).rows(), 2);
}

TEST_F(ReadGzip, SeveralMembersAreOneStream) {
  const std::string whole = small_images();
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    const Dataset dataset = load(gzip(whole.substr(0, cut)) + gzip(whole.substr(cut)));
    EXPECT_EQ(bytes_of(dataset).back(), 255);
  }
}

TEST_F(ReadGzip, CutOffAtEveryByte) {
  const std::string whole = gzip(small_images());
  for (std::size_t size = 4; size < whole.size(); ++size) {
    EXPECT_TRUE(says(error_from(whole.substr(0, size)),
                     "ends at byte " + std::to_string(size) + " inside the compressed data"));
  }
}

TEST_F(ReadGzip, RefusesAWrongChecksum) {
  std::string content = gzip(small_images());
  content[content.size() - 8] ^= 1;
  EXPECT_TRUE(says(error_from(content), "(incorrect data check)"));
  content = gzip(small_images());
  content[content.size() - 1] ^= 1;
  EXPECT_TRUE(says(error_from(content), "(incorrect length check)"));
}

TEST_F(ReadGzip, RefusesDamage) {
  std::string content = gzip(small_images());
  content[10] = '\x07';  // a block of the type that does not exist
  EXPECT_TRUE(says(error_from(content), "its gzip data is not valid near byte 1"));
}

TEST_F(ReadGzip, RefusesDataThatIsShortOrLong) {
  const std::string whole = small_images();
  EXPECT_TRUE(says(error_from(gzip(whole.substr(0, 20))), "but the data ends at byte 20"));
  EXPECT_TRUE(says(error_from(gzip(whole.substr(0, 10))), "ends at byte 10 inside its header"));
  EXPECT_TRUE(says(error_from(gzip(whole.substr(0, 3))), "cut off at byte 3"));
  EXPECT_TRUE(says(error_from(gzip("")), "is empty"));
  EXPECT_TRUE(says(error_from(gzip(whole + "x")), "more follow"));
  EXPECT_TRUE(says(error_from(gzip(whole) + gzip("x")), "more follow"));
  EXPECT_TRUE(says(error_from(gzip(whole) + "no member"), "(incorrect header check)"));
}

TEST_F(ReadGzip, RefusesClaimsThatCannotBeCompressedThatFar) {
  EXPECT_TRUE(says(error_from(gzip(idx(kU8, {4000000000, 28, 28}, "few"))),
                   "it can inflate to no more than"));
  // Possible, but not so: memory grows with what arrives, not with the claim.
  const std::string zeros(5'000'000, '\0');
  EXPECT_TRUE(
      says(error_from(gzip(idx(kU8, {5'000'001}, zeros))), "but the data ends at byte 5000008"));
}

TEST_F(ReadGzip, RefusesAnythingElseOfThatName) {
  const fs::path path = folder_.write("train.gz", "<html>not found</html>");
  EXPECT_TRUE(says(error_of([&] { load_dataset(path); }),
                   "is not gzip, although its name says so: it is an HTML or XML page; fetch"));
  EXPECT_TRUE(
      says(error_from(gzip(gzip(small_images()))), "is gzip of what is compressed by gzip"));
}

// ── .npy ───────────────────────────────────────────────────────────────────────────────────────

using ReadNpy = Reading;

TEST_F(ReadNpy, EveryTypeThatIsKnown) {
  const Dataset bytes = load(npy(npy_header("|u1", "(2, 1, 2)"), "\x00\x7f\x80\xff"s));
  EXPECT_TRUE(bytes.is_bytes());
  EXPECT_EQ(bytes.row_shape(), (Shape{1, 2}));
  EXPECT_EQ(bytes_of(bytes), (std::vector<int>{0, 127, 128, 255}));
  EXPECT_EQ(floats_of(load(npy(npy_header("<f4", "(1, 2)"), f32(0.5F) + f32(-7)))),
            (std::vector<float>{0.5F, -7}));
  EXPECT_EQ(floats_of(load(npy(npy_header("<f8", "(1, 2)"), f64(0.1) + f64(-7)))),
            (std::vector<float>{0.1F, -7}));
  EXPECT_EQ(floats_of(load(npy(npy_header(">f4", "(1, 1)"), f32(0.5F, true)))),
            (std::vector<float>{0.5F}));
  EXPECT_EQ(floats_of(load(npy(npy_header(">f8", "(1, 1)"), f64(0.5, true)))),
            (std::vector<float>{0.5F}));
}

TEST_F(ReadNpy, EveryVersion) {
  for (const char version : {'\1', '\2', '\3'}) {
    EXPECT_EQ(load(npy(npy_header("|u1", "(3, 2)"), "abcdef", version)).rows(), 3);
  }
  EXPECT_TRUE(says(error_from(npy(npy_header("|u1", "(1,)"), "a", '\4')), "of .npy version 4.0"));
}

TEST_F(ReadNpy, OneAxisIsRowsOfOne) {
  const Dataset dataset = load(npy(npy_header("|u1", "(3,)"), "abc"));
  EXPECT_EQ(dataset.rows(), 3);
  EXPECT_EQ(dataset.row_shape(), (Shape{1}));
}

TEST_F(ReadNpy, WhatWeWrite) {
  std::vector<float> values(2 * 3 * 5);
  std::iota(values.begin(), values.end(), -3.5F);
  io::write_npy(folder_ / "x.npy", values, {2, 3, 5});
  const Dataset dataset = load_dataset(folder_ / "x.npy");
  EXPECT_EQ(dataset.row_shape(), (Shape{3, 5}));
  EXPECT_EQ(floats_of(dataset), values);
  EXPECT_EQ(floats_of(load_dataset(folder_ / "x.npy", 1, 1)).front(), 11.5F);
}

TEST_F(ReadNpy, HeadersAsOthersWriteThem) {
  const auto rows = [this](const std::string& header) { return load(npy(header, "abcd")).rows(); };
  EXPECT_EQ(rows(R"({"shape":(2,2),"fortran_order":False,"descr":"|u1"})"), 2);
  EXPECT_EQ(rows("  { 'descr' :'|u1' , 'fortran_order' : False, 'shape' : ( 4L , 1L )}   \n"), 4);
}

TEST_F(ReadNpy, TellsThePythonThatHelps) {
  EXPECT_TRUE(says(error_from(npy(npy_header("<c8", "(1, 1)"), f64(1))),
                   "holds complex numbers (type '<c8'), not booleans, integers or floats; save"));
  EXPECT_TRUE(says(error_from(npy("{'descr': [('a', '<f4')], 'fortran_order': False, "
                                  "'shape': (1,), }\n",
                                  f32(1))),
                   "records of several fields"));
  EXPECT_TRUE(says(error_from(npy(npy_header("<f4", "()"), f32(1))), "holds a single value"));
}

TEST_F(ReadNpy, CutOffAtEveryByte) {
  const std::string whole = npy(npy_header("|u1", "(3, 2)"), "abcdef");
  for (std::size_t size = 4; size < whole.size(); ++size) {
    EXPECT_TRUE(says(error_from(whole.substr(0, size)), "ends at byte " + std::to_string(size)));
  }
  EXPECT_TRUE(says(error_from(whole + "x"), "more follow"));
}

TEST_F(ReadNpy, RefusesClaimsBeyondTheFile) {
  EXPECT_TRUE(says(error_from(npy(npy_header("<f4", "(1000000000000, 784)"), "few")),
                   "claims 1000000000000x784 values, 3136000000000"));
  EXPECT_TRUE(
      says(error_from(npy(npy_header("<f4", "(4294967296, 4294967296)"), "")), "more than 2^63"));
  EXPECT_TRUE(says(error_from(gzip(npy(npy_header("<f4", "(1000000000000, 784)"), "few"))),
                   "claims 1000000000000x784 values"));
  std::string header_too_long = npy("", "", '\2');
  header_too_long.replace(8, 4, "\xff\xff\xff\xff");
  EXPECT_TRUE(says(error_from(header_too_long), "its .npy header claims 4294967295 bytes"));
}

TEST_F(ReadNpy, RefusesHeadersThatAreNone) {
  const std::string many_axes = [] {
    std::string shape = "(";
    for (int axis = 0; axis < 65; ++axis) shape += "1, ";
    return shape + ")";
  }();
  const std::vector<std::string> headers = {
      "",
      "{",
      "{}",
      "[1, 2]",
      "{'descr'",
      "{'descr': ",
      "{'descr': '|u1",
      "{'descr': '|u1', 'fortran_order': False}",
      "{'descr': '|u1', 'fortran_order': False, 'shape': (1,)",
      "{'descr': '|u1', 'fortran_order': False, 'shape': (1,), } trailing",
      "{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (1,)}",
      "{'descr': '|u1', 'fortran_order': False, 'shape': (1,), 'more': 1}",
      "{'descr': '|u1' 'fortran_order': False, 'shape': (1,)}",
      "{descr: '|u1', 'fortran_order': False, 'shape': (1,)}",
      "{'descr': '|u\n1', 'fortran_order': False, 'shape': (1,)}",
      "{'descr': 7, 'fortran_order': False, 'shape': (1,)}",
      npy_header("|u1", "(1,)", "Maybe"),
      npy_header("|u1", "(1,)", ""),
      npy_header("|u1", "1"),
      npy_header("|u1", "(-1,)"),
      npy_header("|u1", "(1 1)"),
      npy_header("|u1", "(,)"),
      npy_header("|u1", "(1,,1)"),
      npy_header("|u1", "(1, "),
      npy_header("|u1", "(1.5,)"),
      npy_header("|u1", "(9223372036854775808,)"),
      npy_header("|u1", "(99999999999999999999999999,)"),
      npy_header("|u1", many_axes),
  };
  for (const std::string& header : headers) {
    SCOPED_TRACE(header);
    EXPECT_TRUE(says(error_from(npy(header, "a")), "its .npy header is not valid at byte "));
  }
  EXPECT_TRUE(says(error_from("\x93NUMBER"), "begins almost as a .npy file does"));
}

// ── Hostile files ──────────────────────────────────────────────────────────────────────────────

/// One random change: a byte, a bit, a cut, an insertion, or a piece copied elsewhere.
std::string mutated(std::string text, std::mt19937& random) {
  const auto below = [&random](std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random);
  };
  if (text.empty()) return "x";
  const std::size_t position = below(text.size());
  switch (below(5)) {
    case 0:
      text[position] = static_cast<char>(below(256));
      break;
    case 1:
      text[position] = static_cast<char>(text[position] ^ (1 << below(8)));
      break;
    case 2:
      text.resize(position);
      break;
    case 3:
      text.insert(position, 1 + below(4), static_cast<char>(below(256)));
      break;
    default:
      text.insert(below(text.size()), text.substr(position, 8));
      break;
  }
  return text;
}

TEST_F(Reading, RandomDamageLoadsOrIsAnError) {
  const std::vector<std::string> valid = {
      small_images(),
      idx(kF64, {1, 2}, f64(1, true) + f64(2, true)),
      idx(kI16, {3}, "abcdef"),
      npy(npy_header("<f4", "(2, 1)"), f32(1) + f32(2)),
      npy(npy_header("|u1", "(2, 2)"), "abcd", '\2'),
      npy(npy_header(">i2", "(2, 1, 3)", "True"), "abcdefghijkl"),
      gzip(small_images()),
      gzip(npy(npy_header("<f8", "(1, 1)"), f64(1))),
      gzip(small_images()) + gzip(""),
  };
  std::mt19937 random(20240229);  // NOLINT: the same damage every time
  int loaded = 0;
  int refused = 0;
  for (int round = 0; round < 500; ++round) {
    for (const std::string& content : valid) {
      std::string damaged = mutated(content, random);
      if (round % 2 == 1) damaged = mutated(damaged, random);
      try {
        const Dataset dataset = load(damaged, 0, round % 3 == 0 ? 1 : -1);
        const std::size_t values =
            dataset.is_bytes() ? dataset.bytes().size() : dataset.floats().size();
        EXPECT_EQ(values, static_cast<std::size_t>(dataset.rows() * dataset.row_size()));
        ++loaded;
      } catch (const Error& error) {
        EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
        ++refused;
      }  // anything else fails the test
    }
  }
  EXPECT_GT(loaded, 100);
  EXPECT_GT(refused, 1000);
}

// ── Known data sets ────────────────────────────────────────────────────────────────────────────

/// An environment variable with another value, or none, for a while.
class Environment {
 public:
  Environment(std::string variable, const char* value) : variable_(std::move(variable)) {
    const char* const before = std::getenv(variable_.c_str());
    if (before != nullptr) before_ = before;
    set(value);
  }
  ~Environment() { set(before_ ? before_->c_str() : nullptr); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  void set(const char* value) {
    if (value == nullptr) {
      ::unsetenv(variable_.c_str());
    } else {
      ::setenv(variable_.c_str(), value, 1);
    }
  }

  std::string variable_;
  std::optional<std::string> before_;
};

TEST(NamedDatasets, AreKnownByName) {
  EXPECT_EQ(named_datasets(), (std::vector<std::string>{"mnist", "fashion-mnist"}));
  EXPECT_TRUE(is_named_dataset("mnist"));
  EXPECT_TRUE(is_named_dataset("fashion-mnist"));
  EXPECT_FALSE(is_named_dataset("mnist.npy"));
  EXPECT_THROW(load_named("mnits", "/"), UsageError);
  EXPECT_TRUE(says(error_of([] { load_named("mnits", "/"); }), "known ones are mnist, fashion"));
}

TEST(NamedDatasets, UsualDirectory) {
  const Environment home("HOME", "/home/somebody");
  const Environment cache("XDG_CACHE_HOME", nullptr);
  const Environment data("AE_DATA_DIR", nullptr);
  EXPECT_EQ(default_data_directory(), "/home/somebody/.cache/ae");
  {
    const Environment empty("XDG_CACHE_HOME", "");
    EXPECT_EQ(default_data_directory(), "/home/somebody/.cache/ae");
    const Environment set("XDG_CACHE_HOME", "/var/cache");
    EXPECT_EQ(default_data_directory(), "/var/cache/ae");
    const Environment own("AE_DATA_DIR", "/data");
    EXPECT_EQ(default_data_directory(), "/data");
  }
  const Environment homeless("HOME", nullptr);
  EXPECT_TRUE(says(error_of([] { default_data_directory(); }), "set AE_DATA_DIR"));
}

/// `rows` black images of 28x28; sparse, so it costs no disk.
void write_images(const TemporaryFolder& folder, const std::string& name, std::uint32_t rows) {
  const fs::path path = folder.write(name, idx(kU8, {rows, 28, 28}, ""));
  fs::resize_file(path, 16 + std::uintmax_t{rows} * 784);
}

TEST(NamedDatasets, AbsentOnesNameTheCommandThatFetchesThem) {
  const TemporaryFolder folder;
  const std::string path = folder.path().string();
  EXPECT_EQ(error_of([&] { load_named("mnist", folder.path()); }),
            "mnist is not in " + path + "/mnist: run tools/fetch_mnist.sh --data-dir " + path);
  const Environment data("AE_DATA_DIR", path.c_str());
  EXPECT_EQ(error_of([] { load_named("mnist"); }),
            "mnist is not in " + path + "/mnist: run tools/fetch_mnist.sh");
  write_images(folder, "mnist/train-images-idx3-ubyte", 60000);
  EXPECT_TRUE(
      says(error_of([] { load_named("mnist"); }), "t10k-images-idx3-ubyte is missing; run"));
}

TEST(NamedDatasets, AreLoadedRawOrCompressed) {
  const TemporaryFolder folder;
  write_images(folder, "fashion-mnist/train-images-idx3-ubyte", 60000);
  folder.write("fashion-mnist/t10k-images-idx3-ubyte.gz",
               gzip(idx(kU8, {10000, 28, 28}, std::string(7840000, '\1'))));
  const TrainTest both = load_named("fashion-mnist", folder.path());
  EXPECT_EQ(both.train.rows(), 60000);
  EXPECT_EQ(both.train.source(), "fashion-mnist");
  EXPECT_EQ(both.test.rows(), 10000);
  EXPECT_EQ(both.test.density(), 1);
}

TEST(NamedDatasets, RefuseFilesOfOtherData) {
  const TemporaryFolder folder;
  write_images(folder, "mnist/train-images-idx3-ubyte", 10000);
  write_images(folder, "mnist/t10k-images-idx3-ubyte", 10000);
  EXPECT_TRUE(says(error_of([&] { load_named("mnist", folder.path()); }),
                   "it holds 10000 rows of 28x28 bytes, not 60000 rows of 28x28 bytes; remove it"));
}

}  // namespace
}  // namespace ae
