#include "report/html.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include <fmt/format.h>

namespace ae::report {

std::string escape_html(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string encode_base64(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = bytes.size() - i;
    const std::uint32_t second = count > 1 ? bytes[i + 1] : 0U;
    const std::uint32_t third = count > 2 ? bytes[i + 2] : 0U;
    const std::uint32_t group = std::uint32_t{bytes[i]} << 16U | second << 8U | third;
    text += kDigits[group >> 18U];
    text += kDigits[group >> 12U & 63U];
    text += count > 1 ? kDigits[group >> 6U & 63U] : '=';
    text += count > 2 ? kDigits[group & 63U] : '=';
  }
  return text;
}

std::string format_loss(double loss) {
  if (std::isnan(loss)) return "–";
  if (std::isinf(loss)) return loss > 0 ? "∞" : "−∞";
  if (loss == 0) return "0";
  const double size = std::abs(loss);
  if (!(size >= 1e-6 && size < 1e6)) return fmt::format("{:.3g}", loss);
  const int magnitude = static_cast<int>(std::floor(std::log10(size)));
  return fmt::format("{:.{}f}", loss, std::max(0, (magnitude < -1 ? 2 : 3) - magnitude));
}

std::string format_fixed(double value, int decimals) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, decimals) : "–";
}

std::string format_percent(double part, int decimals) {
  return std::isfinite(part) ? fmt::format("{:.{}f} %", 100 * part, decimals) : "–";
}

std::string format_rate(double rate) {
  constexpr double kMost = 1e18;  // what format_count can take
  return std::isfinite(rate) && std::abs(rate) < kMost ? format_count(std::llround(rate)) : "–";
}

std::string format_count(std::int64_t count) {
  std::string digits = std::to_string(count);
  const std::ptrdiff_t first = count < 0 ? 1 : 0;
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > first; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  }
  return digits;
}

}  // namespace ae::report
