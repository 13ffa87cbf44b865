#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ae/activation.hpp"
#include "ae/shape.hpp"

namespace ae {

/// Bounds that any layer that fits a machine keeps, and within which no size overflows.
inline constexpr std::int64_t kMaxChannels = std::int64_t{1} << 16U;
inline constexpr std::int64_t kMaxWindow = 255;

/// The words of one layer's readable form, taken one after the other. What cannot be taken
/// @throws UsageError saying what a layer looks like.
class LayerWords {
 public:
  /// `activation` is the one of a layer that has one and does not name it.
  LayerWords(std::string_view text, Activation activation);

  [[noreturn]] void refuse(const std::string& why) const;

  /// The first word.
  [[nodiscard]] const std::string& kind() const { return words_.front(); }
  [[nodiscard]] bool done() const { return next_ == words_.size(); }

  std::string take(const char* what);
  /// From 1 to `max`.
  std::int64_t take_number(const char* what, std::int64_t max);
  /// In [0, 1).
  float take_probability(const char* what);
  /// "3x3", "7x7x32"
  Shape take_extents(const char* what, std::int64_t max);
  /// Whether the next word is `option`; then it is taken.
  bool take_option(std::string_view option);
  /// The next word, if there is one.
  Activation take_activation();
  [[nodiscard]] Activation activation() const { return activation_; }

  void require_end() const;

 private:
  [[nodiscard]] std::int64_t number(const std::string& word, const char* what,
                                    std::int64_t max) const;

  std::string_view text_;
  std::vector<std::string> words_;
  std::size_t next_ = 1;
  Activation activation_;
};

}  // namespace ae
