#include "layers/words.hpp"

#include <algorithm>
#include <optional>
#include <sstream>

#include <fmt/format.h>

#include "ae/error.hpp"

#include "io/numbers.hpp"
#include "layers/kinds.hpp"

namespace ae {

LayerWords::LayerWords(std::string_view text, Activation activation)
    : text_(text), activation_(activation) {
  std::istringstream stream{std::string(text)};
  for (std::string word; stream >> word;) words_.push_back(word);
  if (words_.empty()) refuse("its kind is missing");
}

void LayerWords::refuse(const std::string& why) const {
  std::string forms;
  for_each_kind([&]<typename Spec>() {
    forms += forms.empty() ? "" : ", ";
    forms += Spec::kForm;
  });
  throw UsageError(fmt::format("'{}' is not a layer, {}; layers are: {}", text_, why, forms));
}

std::string LayerWords::take(const char* what) {
  if (done()) refuse(fmt::format("{} is missing", what));
  return words_[next_++];
}

std::int64_t LayerWords::take_number(const char* what, std::int64_t max) {
  return number(take(what), what, max);
}

float LayerWords::take_probability(const char* what) {
  const std::string word = take(what);
  const std::optional<float> value = io::to_float(word);
  if (!value || !(*value >= 0 && *value < 1)) {
    refuse(fmt::format("{} must be a number from 0 to below 1, not '{}'", what, word));
  }
  return *value;
}

Shape LayerWords::take_extents(const char* what, std::int64_t max) {
  const std::string word = take(what);
  Shape extents;
  for (std::size_t begin = 0; begin <= word.size();) {
    const std::size_t end = std::min(word.find('x', begin), word.size());
    extents.push_back(number(word.substr(begin, end - begin), what, max));
    begin = end + 1;
  }
  return extents;
}

bool LayerWords::take_option(std::string_view option) {
  const bool is_next = !done() && words_[next_] == option;
  if (is_next) ++next_;
  return is_next;
}

Activation LayerWords::take_activation() {
  return done() ? activation_ : parse_activation(take("the activation"));
}

void LayerWords::require_end() const {
  if (!done()) refuse(fmt::format("'{}' is one word too many", words_[next_]));
}

std::int64_t LayerWords::number(const std::string& word, const char* what, std::int64_t max) const {
  const auto value = io::to_integer<std::int64_t>(word);
  if (!value || *value < 1 || *value > max) {
    refuse(fmt::format("{} must be a whole number from 1 to {}, in decimal, not '{}'", what, max,
                       word));
  }
  return *value;
}

}  // namespace ae
