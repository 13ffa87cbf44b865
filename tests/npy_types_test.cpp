#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <zlib.h>

#include "ae/dataset.hpp"
#include "ae/error.hpp"

#include "error_message.hpp"
#include "temporary_folder.hpp"

// Every array of numbers that NumPy writes, from files made by hand.

namespace ae {
namespace {

using std::string_literals::operator""s;
using test::error_of;
using test::says;
using test::TemporaryFolder;

/// The bytes of a number, in the order that `descr` begins with.
template <typename Number>
std::string bytes_of(Number number, char order) {
  std::string bytes(sizeof(Number), '\0');
  std::memcpy(bytes.data(), &number, sizeof(Number));
  const bool is_little = std::endian::native == std::endian::little;
  if ((order == '<' && !is_little) || (order == '>' && is_little)) {
    bytes = {bytes.rbegin(), bytes.rend()};
  }
  return bytes;
}

std::string npy(const std::string& descr, const std::string& shape, const std::string& values,
                bool fortran_order = false, char major = 1) {
  const std::string header = "{'descr': '" + descr +
                             "', 'fortran_order': " + (fortran_order ? "True" : "False") +
                             ", 'shape': " + shape + ", }\n";
  const auto size = static_cast<std::uint32_t>(header.size());
  return "\x93NUMPY"s + major + '\0' +
         (major == 1 ? bytes_of(static_cast<std::uint16_t>(size), '<') : bytes_of(size, '<')) +
         header + values;
}

class NpyTypes : public ::testing::Test {
 protected:
  Dataset load(const std::string& content, std::int64_t first_row = 0, std::int64_t rows = -1) {
    return load_dataset(folder_.write("x.npy", content), first_row, rows);
  }
  std::vector<float> floats(const std::string& content, std::int64_t first_row = 0,
                            std::int64_t rows = -1) {
    const Dataset dataset = load(content, first_row, rows);
    EXPECT_FALSE(dataset.is_bytes());
    return {dataset.floats().begin(), dataset.floats().end()};
  }
  /// Two numbers of one type, in every byte order that its descr may have.
  template <typename Number>
  void expect_read(const std::string& code, Number first, Number second, float as_first,
                   float as_second) {
    for (const std::string order : {"<", ">", "=", "|", ""}) {
      SCOPED_TRACE(order + code);
      const char written = order.empty() ? '=' : order[0];
      EXPECT_EQ(
          floats(npy(order + code, "(2, 1)", bytes_of(first, written) + bytes_of(second, written))),
          (std::vector<float>{as_first, as_second}));
    }
  }
  TemporaryFolder folder_;
};

TEST_F(NpyTypes, IntegersAreTakenAsTheyAre) {
  expect_read<std::int8_t>("i1", -128, 127, -128, 127);
  expect_read<std::int16_t>("i2", -32768, 258, -32768, 258);
  expect_read<std::int32_t>("i4", -2, 1 << 24, -2, 16777216);
  expect_read<std::int64_t>("i8", -3, std::int64_t{1} << 40, -3, 0x1p40F);
  expect_read<std::uint16_t>("u2", 258, 65535, 258, 65535);
  expect_read<std::uint32_t>("u4", 7, 0xFFFFFFFF, 7, 0x1p32F);
  expect_read<std::uint64_t>("u8", 7, std::numeric_limits<std::uint64_t>::max(), 7, 0x1p64F);
}

TEST_F(NpyTypes, FloatsOfEverySize) {
  expect_read<float>("f4", 0.25F, -1e30F, 0.25F, -1e30F);
  expect_read<double>("f8", 0.1, -3, 0.1F, -3);
  const auto half = [&](std::uint16_t bits, float value) {
    expect_read<std::uint16_t>("f2", bits, 0x3C00, value, 1);
  };
  half(0x0000, 0);
  half(0xC000, -2);
  half(0x3555, 0x1.554p-2F);  // the nearest to a third
  half(0x7BFF, 65504);        // the largest
  half(0x0400, 0x1p-14F);     // the smallest normal
  half(0x8001, -0x1p-24F);    // the smallest
  half(0x03FF, 1023 * 0x1p-24F);
  const float infinity = std::numeric_limits<float>::infinity();
  half(0xFC00, -infinity);
  EXPECT_TRUE(std::isnan(floats(npy("<f2", "(1, 1)", "\x01\x7e"))[0]));
  EXPECT_TRUE(std::signbit(floats(npy("<f2", "(1, 1)", "\x00\x80"s))[0]));
}

TEST_F(NpyTypes, BooleansAreZeroAndOne) {
  for (const std::string descr : {"|b1", "?", "|?", "<b1"}) {
    EXPECT_EQ(floats(npy(descr, "(3, 1)", "\0\1\1"s)), (std::vector<float>{0, 1, 1}));
  }
}

TEST_F(NpyTypes, BytesStayBytesHoweverTheyAreSpelt) {
  for (const std::string descr : {"|u1", "<u1", ">u1", "=u1", "u1"}) {
    for (const char major : {'\1', '\2', '\3'}) {
      const Dataset dataset = load(npy(descr, "(2, 1)", "\x00\xff"s, false, major));
      ASSERT_TRUE(dataset.is_bytes());
      EXPECT_EQ(dataset.bytes()[1], 255);
    }
  }
}

/// An array of (4, 2, 3, 2) in Fortran order whose values count up in C order.
template <typename Number>
std::string counting_in_fortran_order() {
  std::string values;
  for (int d = 0; d < 2; ++d) {
    for (int c = 0; c < 3; ++c) {
      for (int b = 0; b < 2; ++b) {
        for (int a = 0; a < 4; ++a) {
          values += bytes_of(static_cast<Number>(a * 12 + b * 6 + c * 2 + d), '<');
        }
      }
    }
  }
  return values;
}

TEST_F(NpyTypes, FortranOrder) {
  const std::string doubles = npy("<f8", "(4, 2, 3, 2)", counting_in_fortran_order<double>(), true);
  const std::string bytes =
      npy("|u1", "(4, 2, 3, 2)", counting_in_fortran_order<std::uint8_t>(), true);
  EXPECT_EQ(load(doubles).row_shape(), (Shape{2, 3, 2}));
  for (const std::int64_t first : {0, 1, 3, 4}) {
    for (const std::int64_t count : {0, 1, 2, -1}) {
      SCOPED_TRACE(testing::Message() << first << ", " << count);
      std::vector<float> expected;
      const std::int64_t end = count < 0 ? 4 : std::min<std::int64_t>(4, first + count);
      for (std::int64_t i = first * 12; i < end * 12; ++i) {
        expected.push_back(static_cast<float>(i));
      }
      EXPECT_EQ(floats(doubles, first, count), expected);
      const Dataset kept = load(bytes, first, count);
      ASSERT_TRUE(kept.is_bytes());
      EXPECT_EQ(std::vector<float>(kept.bytes().begin(), kept.bytes().end()), expected);
    }
  }
  EXPECT_EQ(floats(npy("<i2", "(3,)", "\1\0\2\0\3\0"s, true)), (std::vector<float>{1, 2, 3}));
}

TEST_F(NpyTypes, FortranOrderOfMoreRowsThanABufferHolds) {
  constexpr std::int64_t kRows = 300'007;
  std::string values;
  for (const std::int64_t column : {0, 1}) {
    for (std::int64_t row = 0; row < kRows; ++row) {
      values += bytes_of(static_cast<std::int32_t>(2 * row + column), '<');
    }
  }
  const std::string content = npy("<i4", "(300007, 2)", values, true);
  const std::vector<float> all = floats(content);
  ASSERT_EQ(all.size(), 2U * kRows);
  for (std::size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i], static_cast<float>(i));
  EXPECT_EQ(floats(content, kRows - 1), (std::vector<float>{600012, 600013}));
}

TEST_F(NpyTypes, FortranOrderInGzip) {
  const std::string plain = npy("<f4", "(4, 2, 3, 2)", counting_in_fortran_order<float>(), true);
  const auto path = folder_ / "x.npy.gz";
  gzFile file = gzopen(path.c_str(), "wb");
  ASSERT_EQ(gzwrite(file, plain.data(), static_cast<unsigned>(plain.size())),
            static_cast<int>(plain.size()));
  gzclose(file);
  const Dataset dataset = load_dataset(path, 1, 2);
  EXPECT_EQ(dataset.floats().front(), 12);
  EXPECT_EQ(dataset.floats().back(), 35);
}

TEST_F(NpyTypes, FortranOrderCutOffOrTooLong) {
  const std::string whole = npy("<f4", "(2, 2)", std::string(16, '\0'), true);
  EXPECT_TRUE(says(error_of([&] { load(whole.substr(0, whole.size() - 1)); }), "cut off"));
  EXPECT_TRUE(says(error_of([&] { load(whole + "x"); }), "more follow"));
}

TEST_F(NpyTypes, WhatIsNoNumberIsRefusedByItsName) {
  const auto message = [&](const std::string& descr) {
    return error_of([&] { load(npy(descr, "(1, 1)", std::string(16, '\0'))); });
  };
  EXPECT_TRUE(says(message("<f16"), "extended precision (long double) (type '<f16')"));
  EXPECT_TRUE(says(message("<c16"), "complex numbers (type '<c16')"));
  EXPECT_TRUE(says(message("<M8[ns]"), "dates (datetime64)"));
  EXPECT_TRUE(says(message("<m8[s]"), "durations (timedelta64)"));
  EXPECT_TRUE(says(message("|S4"), "text (bytes)"));
  EXPECT_TRUE(says(message("<U4"), "text (type '<U4')"));
  EXPECT_TRUE(says(message("|O"), "Python objects"));
  EXPECT_TRUE(says(message("|V2"), "bfloat16"));
  EXPECT_TRUE(says(message("<q9"), "unknown kind (type '<q9')"));
  EXPECT_TRUE(says(message(""), "unknown kind"));
}

TEST_F(NpyTypes, ArraysWithoutRowsOrValues) {
  EXPECT_TRUE(says(error_of([&] { load(npy("<f4", "()", "abcd")); }), "holds a single value"));
  EXPECT_EQ(load(npy("<f4", "(0, 5)", "")).rows(), 0);
  EXPECT_EQ(load(npy("<f4", "(0, 5)", "", true)).rows(), 0);
  EXPECT_TRUE(
      says(error_of([&] { load(npy("<f4", "(5, 0)", "", true)); }), "without a single element"));
}

TEST_F(NpyTypes, DoublesThatNoFloatHolds) {
  const auto message = [&](double value, bool fortran_order) {
    std::string values;
    for (const double number : {1.0, 2.0, 3.0, value}) values += bytes_of(number, '<');
    return error_of([&] { load(npy("<f8", "(2, 2)", values, fortran_order)); });
  };
  for (const bool fortran_order : {false, true}) {
    EXPECT_TRUE(says(message(1e300, fortran_order),
                     "row 1, element 1 (counted from 0) is 1e+300, beyond what float32 can hold"));
    EXPECT_TRUE(says(message(-3.5e38, fortran_order), "is -3.5e+38, beyond"));
  }
  // An infinity is one; it is for the training to refuse.
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_TRUE(std::isinf(floats(npy("<f8", "(1, 1)", bytes_of(infinity, '<')))[0]));
  // Rows that are not asked for do not matter.
  EXPECT_EQ(floats(npy("<f8", "(2, 1)", bytes_of(1.0, '<') + bytes_of(1e300, '<')), 0, 1),
            (std::vector<float>{1}));
}

TEST_F(NpyTypes, ExtentsComeFromTheHeaderAlone) {
  const auto path = folder_.write("x.npy", npy("<f4", "(5, 4, 3)", ""));
  EXPECT_EQ(dataset_extents(path), (Shape{5, 4, 3}));
}

TEST(DatasetOf, RangeShapeAndRounding) {
  Dataset floats("x", {2}, std::vector<float>{-1e-9F, 1.0000001F, 0.5F, -2e-6F, NAN, 1.00001F});
  EXPECT_EQ(floats.range().low, -2e-6F);
  EXPECT_EQ(floats.range().high, 1.00001F);
  EXPECT_EQ(floats.clamp_rounding(), 2);
  EXPECT_EQ(floats.floats()[0], 0);
  EXPECT_EQ(floats.floats()[1], 1);
  EXPECT_EQ(floats.floats()[3], -2e-6F);
  EXPECT_EQ(floats.floats()[5], 1.00001F);
  Dataset bytes("x", {1}, std::vector<std::uint8_t>{51, 255});
  EXPECT_EQ(bytes.range().low, 0.2F);
  EXPECT_EQ(bytes.range().high, 1);
  EXPECT_EQ(bytes.clamp_rounding(), 0);
  EXPECT_EQ(Dataset().range().high, 0);
  const Dataset one = std::move(bytes).reshaped({2});
  EXPECT_EQ(one.rows(), 1);
  EXPECT_EQ(one.bytes()[1], 255);
  EXPECT_THROW(static_cast<void>(Dataset("x", {1}, std::vector<float>(3)).reshaped({2})), Error);
}

TEST(FileFormats, AreNamedWithWhatHelps) {
  const TemporaryFolder folder;
  const auto message = [&](const std::string& name, const std::string& content) {
    const auto path = folder.write(name, content);
    return error_of([&] { load_dataset(path); });
  };
  const std::string zip_head = "PK\x03\x04"s + std::string(22, '\0');
  struct Case {
    std::string name, content, is, helps;
  };
  const std::vector<Case> cases = {
      {"a.png", "\x89PNG\r\n\x1a\n\0\0\0\rIHDR"s, "a PNG picture", "PIL.Image.open(f)"},
      {"a.jpg", "\xff\xd8\xff\xe0\0\x10JFIF"s, "a JPEG picture", "/*.jpg"},
      {"a.gif", "GIF89a....", "a GIF picture", "PIL.Image"},
      {"a.h5", "\x89HDF\r\n\x1a\n"s, "an HDF5 file", "h5py.File("},
      {"a.pkl", "\x80\x04\x95....", "a Python pickle", "pickle.load(open("},
      {"a.parquet", "PAR1....", "a Parquet file", "pandas.read_parquet("},
      {"a.mat", "MATLAB 5.0 MAT-file, Platform: GLNXA64", "a MATLAB file", "scipy.io.loadmat("},
      {"a.npz", zip_head + "\x09\0\0\0train.npy"s, "an .npz archive", "['train']"},
      {"a.pt", zip_head + "\x08\0\0\0data.pkl"s, "a zip archive", "extract it"},
      {"b.pt", zip_head + "\x10\0\0\0archive/data.pkl"s, "a PyTorch file", "torch.load("},
      {"a.csv", "x,y\n1,2\n3,4\n", "CSV text", "delimiter=',', skiprows=1"},
      {"b.csv", "1.5;2\n3;-4e3\n", "CSV text", "delimiter=';', dtype"},
      {"c.csv", "\xef\xbb\xbf\"a\",\"b\"\n1,2\n", "CSV text", "skiprows=1"},
      {"a.tsv", "1\t2\n", "text with a row of numbers a line", "np.loadtxt("},
      {"a.json", "[[1, 2], [3, 4]]", "JSON text", "json.load(open("},
      {"b.json", "[ null, 2]", "JSON text", "json.load(open("},
      {"a.toml", "[train]\nepochs = 3\n", "text", "np.save"},
      {"a.wav", "RIFF\x24\0\0\0WAVEfmt "s, "a WAV sound", "scipy.io.wavfile.read("},
      {"a.idx", "version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer",
       "git lfs pull"},
      {"a.xz", "\xfd\x37zXZ\0\0\4"s, "compressed by xz", "xz -d"},
      {"a.safetensors", "\x40\0\0\0\0\0\0\0{\"__metadata__\":{}}"s, "a safetensors file",
       "['NAME']"},
  };
  for (const Case& it : cases) {
    SCOPED_TRACE(it.name);
    const std::string said = message(it.name, it.content);
    EXPECT_TRUE(says(said, it.name + " is " + it.is));
    EXPECT_TRUE(says(said, "ae reads IDX and .npy files"));
    EXPECT_TRUE(says(said, it.helps));
    EXPECT_EQ(said.find("begins with bytes"), std::string::npos);
  }
  EXPECT_TRUE(says(message("it's.csv", "1,2\n"), "np.loadtxt('FILE'"));
}

}  // namespace
}  // namespace ae
