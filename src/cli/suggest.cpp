#include "cli/suggest.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>

#include <fmt/format.h>

namespace ae::cli {

namespace {

/// Levenshtein's distance: insertions, deletions and substitutions from one to the other.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row.back();
}

}  // namespace

std::string did_you_mean(std::string_view wrong, const std::vector<std::string>& known,
                         std::string_view prefix) {
  const std::string* nearest = nullptr;
  std::size_t least = wrong.size() / 3 + 2;  // farther than that is another word
  for (const std::string& candidate : known) {
    // An unfinished word is nearer than any misspelt one.
    const bool begins = wrong.size() > 2 && candidate.starts_with(wrong);
    const std::size_t distance = begins ? 0 : edit_distance(wrong, candidate);
    if (distance < least) {
      least = distance;
      nearest = &candidate;
    }
  }
  return nearest == nullptr ? "" : fmt::format(", did you mean {}{}", prefix, *nearest);
}

}  // namespace ae::cli
