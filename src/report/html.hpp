#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ae::report {

/// With &, <, >, " and ' as entities: safe in text and in attributes.
std::string escape_html(std::string_view text);

std::string encode_base64(std::span<const std::uint8_t> bytes);

/// Four significant digits, three below 0.1 (0.2625 and 0.0917); "–" for NaN, "∞".
std::string format_loss(double loss);

/// With that many decimals; "–" for what is no finite number, such as a quotient over nothing.
std::string format_fixed(double value, int decimals);

/// "83.6 %" of 0.836, likewise.
std::string format_percent(double part, int decimals = 1);

/// "480,000" of 480,000.4, likewise.
std::string format_rate(double rate);

/// "60,000"
std::string format_count(std::int64_t count);

}  // namespace ae::report
