// Any bytes as UTF-8 and back; and what a terminal is not to be shown.

#include "io/utf8.hpp"

#include <random>
#include <string>

#include <gtest/gtest.h>

#include "io/file_format.hpp"
#include "io/printable.hpp"

namespace ae::io {
namespace {

TEST(Utf8, StaysAsItIs) {
  for (const std::string text : {"", "plain", "grün", "写真.npy", "\xF0\x9F\x98\x80", "\x7F\x01"}) {
    EXPECT_EQ(to_utf8(text), text);
    EXPECT_EQ(from_utf8(text), text);
  }
}

TEST(Utf8, OtherBytesBecomeCharactersOfTheirOwn) {
  EXPECT_EQ(to_utf8("b\xE9"), "b\xF4\x8F\xBF\xA9");  // U+10FFE9
  EXPECT_EQ(to_utf8("\x80"), "\xF4\x8F\xBE\x80");    // U+10FF80
}

TEST(Utf8, AnyBytesComeBack) {
  const std::vector<std::string> hard = {"\xC0\x80",          // overlong
                                         "\xED\xA0\x80",      // a surrogate
                                         "\xF4\x90\x80\x80",  // beyond Unicode
                                         "\xF4\x8F\xBF\xA9",  // what stands for a byte itself
                                         "\xF4\x8F\xBF",      // cut off
                                         "\xE2\x82",         "\xF0\x9F\x98", "a\xFF\xFE\x00z"};
  for (const std::string& bytes : hard) EXPECT_EQ(from_utf8(to_utf8(bytes)), bytes);
  std::mt19937 random(1);
  const std::string some = "a\xC2\xA9\xE2\x82\xAC\xF4\x8F\xBE\xBF\x80\xFF";
  for (int trial = 0; trial < 2000; ++trial) {
    std::string bytes;
    for (unsigned i = 0; i < random() % 12; ++i) bytes += some[random() % some.size()];
    const std::string text = to_utf8(bytes);
    EXPECT_EQ(from_utf8(text), bytes);
    EXPECT_EQ(from_utf8(to_utf8(text)), text) << "what it makes is text like any other";
  }
}

TEST(Printable, HasNothingThatATerminalObeys) {
  EXPECT_EQ(without_controls("a\x1B[31mb\r\nc\td\x7F"), "a?[31mb??c?d?");
  EXPECT_EQ(without_controls("\xC2\x9B"
                             "31m grün"),
            "?31m grün");
  EXPECT_EQ(without_controls(std::string(1000, 'x')).size(), 1000U);
  const auto followed = [](std::size_t count, std::string_view end) {
    std::string text(count, 'x');
    text.append(end);
    return text;
  };
  EXPECT_EQ(printable(std::string(1000, 'x')), followed(250, "..."));
  EXPECT_EQ(printable(std::string(250, 'x')), std::string(250, 'x'));
  EXPECT_EQ(printable(followed(249, "ü")), followed(249, "ü"));
}

TEST(FileFormat, IsTheThingNotItsBytes) {
  const auto name = [](std::string_view bytes) {
    const auto format = recognize(std::as_bytes(std::span(bytes)), "some.file");
    return format ? format->name : std::string();
  };
  EXPECT_EQ(name("\x89PNG\r\n\x1A\n"), "a PNG picture");
  EXPECT_NE(name("\x80\x04\x95\x10").find("pickle"), std::string::npos);
  EXPECT_EQ(name("\x01\x02\x03"), "");
  EXPECT_EQ(name(""), "");
}

}  // namespace
}  // namespace ae::io
