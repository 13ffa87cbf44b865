// The one reader of numbers: what is a number, what is none, and what is said then.

#include "io/numbers.hpp"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "ae/device.hpp"
#include "ae/error.hpp"
#include "ae/layers.hpp"

#include "error_message.hpp"

namespace ae::io {
namespace {

using test::error_of;
using test::says;

constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
constexpr auto kMostUnsigned = std::numeric_limits<std::uint64_t>::max();

TEST(Numbers, WholeOnesOfEveryRange) {
  EXPECT_EQ(to_integer<std::int64_t>("0"), 0);
  EXPECT_EQ(to_integer<std::int64_t>("-12"), -12);
  EXPECT_EQ(to_integer<std::int64_t>("9223372036854775807"), kMost);
  EXPECT_EQ(to_integer<std::int64_t>("-9223372036854775808"), kLeast);
  EXPECT_EQ(to_integer<std::uint64_t>("18446744073709551615"), kMostUnsigned);
  EXPECT_EQ(to_integer<int>("2147483647"), 2147483647);
}

TEST(Numbers, WhatIsNoWholeOne) {
  for (const char* text :
       {"",      " ",     "-",     "+",   "+5",  "--5",  "- 5", "010", "00",  "-010",
        "+010",  "0x10",  "0b1",   "0o7", "1e3", "5.0",  "5.",  "5 ",  " 5",  "5x",
        "1_000", "1'000", "1,000", "\t5", "5\n", "five", "0x",  "nan", "inf", "٣"}) {
    EXPECT_FALSE(to_integer<std::int64_t>(text)) << text;
    EXPECT_FALSE(to_integer<std::uint64_t>(text)) << text;
    EXPECT_FALSE(to_integer<int>(text)) << text;
  }
  EXPECT_FALSE(to_integer<std::int64_t>(std::string("5\0", 2)));
}

TEST(Numbers, BeyondTheRangeIsNone) {
  EXPECT_FALSE(to_integer<std::uint64_t>("-1"));
  EXPECT_FALSE(to_integer<std::uint64_t>("18446744073709551616"));
  EXPECT_FALSE(to_integer<std::int64_t>("9223372036854775808"));
  EXPECT_FALSE(to_integer<std::int64_t>("-9223372036854775809"));
  EXPECT_FALSE(to_integer<int>("2147483648"));
}

TEST(Numbers, FiniteOnes) {
  EXPECT_EQ(to_float("0.5"), 0.5F);
  EXPECT_EQ(to_float("-3"), -3.0F);
  EXPECT_EQ(to_float(".5"), 0.5F);
  EXPECT_EQ(to_float("1e-3"), 0.001F);
  EXPECT_EQ(to_float("3.4028235e38"), std::numeric_limits<float>::max());
  for (const char* text : {"", " ", "nan", "inf", "-inf", "infinity", "1e39", "1e400", "1e-400",
                           "+0.5", "0.5 ", " 0.5", "0.5f", "0x1p-3", "1,5", "1e", "--1", "half"}) {
    EXPECT_FALSE(to_float(text)) << text;
  }
}

TEST(Numbers, MessagesShowWhatWasTypedAndSayWhatItMustBe) {
  const auto message = [](const char* text) {
    return error_of([&] { require_integer<std::uint64_t>("--seed", text); });
  };
  EXPECT_EQ(message("-1"),
            "--seed is '-1', it must be a whole number from 0 to 18446744073709551615");
  EXPECT_EQ(message("18446744073709551616"),
            "--seed is '18446744073709551616', it must be a whole number from 0 to "
            "18446744073709551615");
  EXPECT_TRUE(says(message("010"), "'010', it must be a whole number in decimal, without '+'"));
  EXPECT_TRUE(says(message("+5"), "without '+' and leading zeros"));
  EXPECT_EQ(error_of([] { require_integer<int>("--threads", "many"); }),
            "--threads is 'many', it must be a whole number");
  EXPECT_EQ(error_of([] { require_integer<int>("--threads", "99999999999"); }),
            "--threads is '99999999999', it must be a whole number, at most 2147483647");
  EXPECT_TRUE(says(error_of([] { require_float("--beta", "inf"); }),
                   "--beta is 'inf', it must be a finite number"));
  EXPECT_THROW(require_float("--beta", ""), UsageError);
}

TEST(Numbers, LayersTakeNoOthers) {
  for (const char* text :
       {"dense 010", "dense +3", "dense 0x10", "conv 03 3x3", "conv 3 03x3", "conv 3 3x3 stride 02",
        "reshape 7x07x32", "gaussian 1e1", "top_k +1", "dropout +0.5", "dropout inf"}) {
    EXPECT_THROW(parse_layer(text, Activation::relu), UsageError) << text;
  }
}

TEST(Numbers, DevicesTakeNoOthers) {
  for (const char* name : {"cuda:01", "cuda:+1", "cuda:-1", "cuda:", "simt:shuffled:07",
                           "simt:shuffled:-1", "simt:shuffled:", "simt:shuffled:1x"}) {
    const std::string message = error_of([&] { resolve_device({.device = name}); });
    EXPECT_TRUE(says(message, "there is no device")) << name << ": " << message;
  }
}

}  // namespace
}  // namespace ae::io
